//! Windows: measures the handlers of one instance for their controller, as `worker/scale/limit.rs` does, in whole seconds.

use super::{
    SeeksHandlers, Window,
    sampling::{AT_ONCE, ENDED, LIMITED, LONGEST},
};

/// The window that is open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Windows {
    seconds: u32,
    ended: f64,
    too_much: f64,
    limited: u32,
}

impl Windows {
    /// A second is over, in which so many attempts ended, so many of them with *too much*. `limited`: work waited. Gives the level
    /// before and after, if it changes.
    pub fn second(
        &mut self,
        seeks: &mut dyn SeeksHandlers,
        ended: f64,
        too_much: f64,
        limited: bool,
    ) -> Option<(u32, u32)> {
        self.seconds += 1;
        self.ended += ended;
        self.too_much += too_much;
        self.limited += u32::from(limited);
        let enough = self.ended >= ENDED.max(seeks.level().into()) as f64;
        let is_too_much = self.too_much >= AT_ONCE as f64 && self.too_much > self.ended * 0.01;
        if !enough && u64::from(self.seconds) < LONGEST.as_secs() && !is_too_much {
            return None;
        }
        let window = Window {
            seconds: self.seconds,
            ended: self.ended as u64,
            too_much: self.too_much as u64,
            limited: f64::from(self.limited) >= f64::from(self.seconds) * LIMITED,
        };
        *self = Self::default();
        let from = seeks.level();
        seeks.window(&window);
        (from != seeks.level()).then_some((from, seeks.level()))
    }
}
