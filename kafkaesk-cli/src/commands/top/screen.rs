//! Screen: draws the board in the terminal until `q`. The terminal is restored at every end, a panic included (ratatui's hook).

use std::time::{Duration, Instant};

use kafkaesk_client::lag::Verdict;
use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Block, Paragraph, Row, Table, TableState, Wrap},
};
use tokio::task::spawn_blocking;

use super::{
    PAUSE, look,
    rows::{Board, HEADS},
};
use crate::processes;

/// How long a key is waited for before the screen is drawn again.
const KEY: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Screen {
    board: Board,
    looked: Option<Instant>,
    selected: TableState,
    unfolded: bool,
}

/// Looks and draws until `q`, Esc or Ctrl-C.
pub(super) async fn run(url: &str) -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let ended = draw_on(&mut terminal, url).await;
    ratatui::restore();
    ended
}

async fn draw_on(terminal: &mut DefaultTerminal, url: &str) -> anyhow::Result<()> {
    let mut screen = Screen::default();
    screen.selected.select(Some(0));
    loop {
        if screen.looked.is_none_or(|looked| looked.elapsed() >= PAUSE) {
            // The addresses behind a name change while workers come and go.
            screen.board = match processes::find(url).await {
                Ok(processes) => Board::of(look(&processes).await),
                Err(error) => Board {
                    silent: vec![format!("{error:#}")],
                    ..Board::default()
                },
            };
            screen.looked = Some(Instant::now());
        }
        terminal.draw(|frame| screen.draw(frame, url))?;
        let Some(key) = spawn_blocking(key).await?? else {
            continue;
        };
        match key {
            KeyCode::Char('q') => return Ok(()),
            KeyCode::Esc if !screen.unfolded => return Ok(()),
            KeyCode::Esc => screen.unfolded = false,
            KeyCode::Down | KeyCode::Char('j') => screen.selected.select_next(),
            KeyCode::Up | KeyCode::Char('k') => screen.selected.select_previous(),
            KeyCode::Enter => screen.unfolded = !screen.unfolded,
            _ => {}
        }
    }
}

/// A key that was pressed; Ctrl-C is `q`.
fn key() -> std::io::Result<Option<KeyCode>> {
    if !event::poll(KEY)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            Some(match key.code {
                KeyCode::Char('c') if control => KeyCode::Char('q'),
                code => code,
            })
        }
        _ => None,
    })
}

impl Screen {
    fn draw(&mut self, frame: &mut Frame<'_>, url: &str) {
        let problems = &self.board.problems;
        let wrong = (problems.len() + self.board.silent.len()).min(6);
        let below = if self.unfolded { 12 } else { 0 };
        let [head, top, middle, bottom] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(u16::try_from(wrong).unwrap_or(0)),
            Constraint::Min(3),
            Constraint::Length(below),
        ])
        .areas(frame.area());
        let processes = match self.board.answers {
            1 => "1 process".to_owned(),
            some => format!("{some} processes"),
        };
        let title = format!("kafkaesk top  {url}  {processes}   ↑↓ select  Enter details  q end");
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Paragraph::new(title).style(bold), head);
        let silent = self
            .board
            .silent
            .iter()
            .map(|it| Line::styled(it.as_str(), Color::Red));
        let problems = problems
            .iter()
            .map(|it| Line::styled(it.as_str(), Color::Yellow));
        let lines: Vec<Line<'_>> = silent.chain(problems).collect();
        frame.render_widget(Paragraph::new(lines), top);
        let cells: Vec<_> = self.board.rows.iter().map(|row| row.cells()).collect();
        let columns = fitting(&cells, usize::from(middle.width));
        let of = |cells: &[String]| -> Vec<Line<'static>> {
            let shown = columns.iter().map(|(column, _)| cells[*column].clone());
            shown.map(Line::from).collect()
        };
        let rows =
            self.board.rows.iter().zip(&cells).map(|(row, cells)| {
                Row::new(of(cells)).style(Style::new().fg(colour(row.verdict())))
            });
        let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
        let table = Table::new(rows, widths)
            .header(Row::new(of(&HEADS.map(str::to_owned))).style(bold))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, middle, &mut self.selected);
        if self.unfolded {
            self.draw_details(frame, bottom);
        }
    }

    fn draw_details(&self, frame: &mut Frame<'_>, area: ratatui::layout::Rect) {
        let selected = self.selected.selected().unwrap_or(0);
        let Some(row) = self
            .board
            .rows
            .get(selected.min(self.board.rows.len().saturating_sub(1)))
        else {
            return;
        };
        let mut lines = vec![Line::from(format!(
            "{}: {}",
            row.verdict().name(),
            row.sentence()
        ))];
        let lists = [
            ("held", &row.held),
            ("custody", &row.custody),
            ("error", &row.errors),
        ];
        for (what, all) in lists {
            lines.extend(
                all.iter()
                    .take(5)
                    .map(|it| Line::from(format!("{what}  {it}"))),
            );
        }
        let title = format!(" {}  {} ", row.group, row.pattern);
        let details = Paragraph::new(lines)
            .wrap(Wrap { trim: true })
            .block(Block::bordered().title(title));
        frame.render_widget(details, area);
    }
}

/// The columns that a terminal of this width has room for, each with its own: in a narrow one, those that say least are left
/// out, and a long group or pattern is cut.
fn fitting(cells: &[[String; HEADS.len()]], width: usize) -> Vec<(usize, u16)> {
    const LEFT_OUT_FIRST: [&str; 7] = [
        "BACKOFF",
        "READY",
        "PROCESSES",
        "PATTERN",
        "DEAD",
        "RUNNING",
        "AGE",
    ];
    /// A longer group or pattern gives way to other columns.
    const NAME: usize = 24;
    let natural = |column: usize| {
        let cells = cells.iter().map(|cells| cells[column].chars().count());
        cells.fold(HEADS[column].len(), usize::max)
    };
    let mut columns: Vec<(usize, usize)> = (0..HEADS.len())
        .map(|column| (column, natural(column)))
        .collect();
    let total = |columns: &[(usize, usize)]| {
        let own: usize = columns.iter().map(|(_, width)| width).sum();
        own + columns.len().saturating_sub(1)
    };
    if total(&columns) > width {
        for (_, own) in &mut columns {
            *own = (*own).min(NAME);
        }
    }
    for head in LEFT_OUT_FIRST {
        if total(&columns) > width {
            columns.retain(|(column, _)| HEADS[*column] != head);
        }
    }
    columns
        .into_iter()
        .map(|(column, own)| (column, u16::try_from(own).unwrap_or(u16::MAX)))
        .collect()
}

fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Ok => Color::Green,
        Verdict::Unknown => Color::Gray,
        Verdict::Warn | Verdict::Rewind | Verdict::Paused => Color::Yellow,
        _ => Color::Red,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::{Value, json};

    use super::*;

    /// What a terminal of this width shows; kept as `top/NAME.txt` in the target directory, for people to look at.
    fn capture(name: &str, width: u16, unfolded: bool, board: Board) -> String {
        let mut screen = Screen {
            board,
            unfolded,
            ..Screen::default()
        };
        screen.selected.select(Some(0));
        let mut terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
        terminal
            .draw(|frame| screen.draw(frame, "http://workers:9464"))
            .unwrap();
        let shown = terminal.backend().to_string();
        let program = std::env::current_exe().unwrap();
        let folder: PathBuf = program.ancestors().nth(2).unwrap().join("top");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.txt")), &shown).unwrap();
        shown
    }

    fn stats(verdict: &str, sentence: &str, more: Value) -> Value {
        let mut it = json!({
            "group": "billing", "pattern": "orders.*", "state": "running", "verdict": verdict,
            "sentence": sentence, "lag_records": 1204, "lag_seconds": 95.0,
            "finished_per_second": 812.5, "running": 3, "concurrency": 32, "ready": 7,
            "backing_off": 2, "held_total": 1, "dead_letters": {"rejected": 2},
        });
        it.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({
            "problems_total": u64::from(verdict != "OK"), "sentence": format!("{verdict}: {sentence}"),
            "subscriptions": [it],
        })
    }

    fn board(looks: Vec<(&str, anyhow::Result<Value>)>) -> Board {
        let looks = looks.into_iter();
        Board::of(
            looks
                .map(|(address, look)| (address.to_owned(), look))
                .collect(),
        )
    }

    #[test]
    fn each_state_is_read_from_the_screen() {
        let ok = board(vec![("10.0.0.1:9464", Ok(stats("OK", "", json!({}))))]);
        let shown = capture("ok", 140, false, ok);
        for part in [
            "1 process",
            "billing",
            "orders.*",
            "OK",
            "1204",
            "812.5",
            "3/32",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }

        let why = "orders.placed[3]@4711 failed 17 times, the next attempt is in 12s";
        let held = json!({
            "held": [{"message": "orders.placed[3]@4711", "attempts": 17,
                "since": "2026-11-29T20:00:00Z", "error": "the database refuses"}],
            "custody": 12,
            "oldest_in_custody": {"message": "orders.placed[1]@90", "seconds": 75.0},
            "errors": [{"last": "2026-11-29T20:01:00Z", "count": 17,
                "message": "orders.placed[3]@4711", "error": "the database refuses"}],
        });
        let held = board(vec![
            ("10.0.0.1:9464", Ok(stats("HELD", why, held))),
            (
                "10.0.0.2:9464",
                Err(anyhow::anyhow!("10.0.0.2:9464 does not answer")),
            ),
        ]);
        let shown = capture("held", 140, true, held);
        for part in [
            "HELD: orders.placed[3]@4711 failed 17 times",
            "10.0.0.2:9464 does not answer",
            "17 attempts since",
            "12 messages handled, their committers not finished; the oldest orders.placed[1]@90 for 1m 15s",
            "17 times",
            "the database refuses",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }

        let paused = "by an operator since 20:00: the database is moved";
        let paused = stats("PAUSED", paused, json!({}));
        let shown = capture(
            "paused",
            100,
            true,
            board(vec![("10.0.0.1:9464", Ok(paused))]),
        );
        assert!(shown.contains("the database is moved"), "{shown}");

        let away = board(vec![(
            "workers:9464",
            Err(anyhow::anyhow!("no process answers")),
        )]);
        let shown = capture("no-process", 80, false, away);
        assert!(shown.contains("no process answers"), "{shown}");
        assert!(shown.contains("0 processes"), "{shown}");
    }

    #[test]
    fn a_narrow_terminal_leaves_out_whole_columns_and_cuts_no_word() {
        for width in [45, 80, 100, 140] {
            let it = stats("STALL", "nothing moves", json!({}));
            let board = board(vec![("10.0.0.1:9464", Ok(it))]);
            let shown = capture(&format!("width-{width}"), width, false, board);
            let heads = shown.lines().find(|line| line.contains("GROUP")).unwrap();
            for head in heads.trim_matches('"').split_whitespace() {
                assert!(HEADS.contains(&head), "{head}:\n{shown}");
            }
            for part in ["billing", "STALL", "1204", "812.5"] {
                assert!(shown.contains(part), "{part}:\n{shown}");
            }
        }
    }
}
