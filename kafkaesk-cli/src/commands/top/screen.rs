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
        let rows = self.board.rows.iter().map(|row| {
            Row::new(row.cells().map(Line::from)).style(Style::new().fg(colour(row.verdict())))
        });
        let widths = [16, 20, 8, 10, 8, 9, 9, 8, 8, 6, 6, 9].map(Constraint::Min);
        let table = Table::new(rows, widths)
            .header(Row::new(HEADS).style(bold))
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
        for (what, all) in [("held", &row.held), ("error", &row.errors)] {
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

fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Ok => Color::Green,
        Verdict::Unknown => Color::Gray,
        Verdict::Warn | Verdict::Rewind | Verdict::Paused => Color::Yellow,
        _ => Color::Red,
    }
}
