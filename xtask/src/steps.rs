//! Steps of a run: each is announced, timed and remembered; the end says which failed. Never stops at the first failure
//! unless asked to.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
    /// What comes after a failed step is not begun.
    stop_at_failure: bool,
    /// Only these, if any are named.
    only: Vec<String>,
}

#[derive(Debug)]
struct Step {
    name: String,
    took: Duration,
    error: Option<String>,
}

impl Steps {
    /// Nothing done yet.
    pub(crate) fn new(stop_at_failure: bool, only: &[String]) -> Self {
        Self {
            done: Vec::new(),
            stop_at_failure,
            only: only.to_vec(),
        }
    }

    /// Runs one.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        if self.stop_at_failure && self.failed() > 0 {
            return;
        }
        if !self.only.is_empty() && !self.only.iter().any(|only| only == name) {
            return;
        }
        println!("\n== {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let error = result.err().map(|error| format!("{error:#}"));
        match &error {
            None => println!("== {name}: ok, {:.1} s", took.as_secs_f64()),
            Some(error) => println!(
                "== {name}: FAILED after {:.1} s\n{error}",
                took.as_secs_f64()
            ),
        }
        self.done.push(Step {
            name: name.to_owned(),
            took,
            error,
        });
    }

    /// The table and the verdict.
    ///
    /// # Errors
    /// A step failed: names each.
    pub(crate) fn finish(self) -> Result<()> {
        if self.done.is_empty() {
            bail!("no step has that name; a run without --only prints every name");
        }
        println!("\n== summary");
        for step in &self.done {
            let verdict = if step.error.is_some() { "FAILED" } else { "ok" };
            println!(
                "{:>7.1} s  {verdict:<6}  {}",
                step.took.as_secs_f64(),
                step.name
            );
        }
        let failed = self.failed();
        println!(
            "steps: {} passed, {failed} failed",
            self.done.len() - failed
        );
        if failed == 0 {
            return Ok(());
        }
        let names: Vec<String> = self
            .done
            .into_iter()
            .filter_map(|step| step.error.map(|error| format!("{}: {error}", step.name)))
            .collect();
        bail!("{}", names.join("\n"))
    }

    fn failed(&self) -> usize {
        self.done.iter().filter(|step| step.error.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_run_and_is_named() {
        let mut steps = Steps::new(false, &[]);
        steps.step("good", || Ok(()));
        steps.step("bad", || bail!("because"));
        let error = steps.finish().expect_err("one failed").to_string();
        assert_eq!(error, "bad: because");
    }

    #[test]
    fn nothing_is_begun_after_a_failure_when_asked_so() {
        let mut steps = Steps::new(true, &[]);
        steps.step("bad", || bail!("because"));
        steps.step("later", || panic!("begun"));
        assert_eq!(steps.done.len(), 1);
    }

    #[test]
    fn a_run_of_no_step_is_no_success() {
        let mut steps = Steps::new(false, &["nosuch".to_owned()]);
        steps.step("good", || Ok(()));
        assert!(steps.finish().is_err());
    }
}
