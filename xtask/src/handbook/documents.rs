//! Input: the Markdown files of the checkout. Output: their links, headings and code blocks, by pulldown-cmark. Does not
//! judge them.

use std::{collections::BTreeMap, fs, ops::Range, path::Path, process::Command};

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use xtask::command;

/// Pages of rustdoc, which checks their links itself, and files that `init` writes into a user's folder.
const OTHERS: [&str; 2] = [
    "kafkaesk-worker/src/docs/",
    "kafkaesk-cli/src/commands/init/project/",
];

/// A Markdown file.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// From the root of the checkout.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) links: Vec<Link>,
    /// What `#…` may name.
    pub(crate) anchors: Vec<String>,
    pub(crate) blocks: Vec<Block>,
}

/// A link or an image.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) to: String,
    /// The bytes of the whole link, with the text before it.
    pub(crate) range: Range<usize>,
    pub(crate) line: usize,
}

/// A fenced code block.
#[derive(Debug)]
pub(crate) struct Block {
    /// What follows the fence.
    pub(crate) info: String,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Document {
    /// Reads one file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(root: &Path, path: &str) -> Result<Self> {
        let text = fs::read_to_string(root.join(path)).with_context(|| path.to_owned())?;
        Ok(Self::parse(path, text))
    }

    pub(crate) fn parse(path: &str, text: String) -> Self {
        let mut document = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS;
        let mut heading: Option<String> = None;
        let mut is_fenced = false;
        let mut seen = BTreeMap::new();
        for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
            let line = |range: &Range<usize>| text[..range.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(Link {
                        to: dest_url.into_string(),
                        line: line(&range),
                        range,
                    });
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    is_fenced = true;
                    document.blocks.push(Block {
                        info: info.into_string(),
                        text: String::new(),
                        line: line(&range),
                    });
                }
                Event::End(TagEnd::CodeBlock) => is_fenced = false,
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let words = heading.take().unwrap_or_default();
                    document.anchors.push(anchor(&words, &mut seen));
                }
                Event::Text(words) | Event::Code(words) => {
                    match (&mut heading, document.blocks.last_mut()) {
                        (Some(heading), _) => heading.push_str(&words),
                        (None, Some(block)) if is_fenced => block.text.push_str(&words),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        document.text = text;
        document
    }
}

/// Every Markdown file of the checkout whose links we check.
///
/// # Errors
/// A file cannot be read, or git does not answer.
pub(crate) fn all(root: &Path) -> Result<Vec<Document>> {
    let list = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
        "*.md",
    ];
    let list = command::output(Command::new("git").current_dir(root).args(list))?;
    list.lines()
        .filter(|path| !OTHERS.iter().any(|other| path.starts_with(other)))
        // One that is deleted and not committed.
        .filter(|path| root.join(path).exists())
        .map(|path| Document::read(root, path))
        .collect()
}

/// A heading's name in links, as GitHub makes it: lower case, `-` for a space, no other sign, a number behind an equal one.
fn anchor(heading: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let kept = heading.trim().chars().filter_map(|sign| match sign {
        ' ' => Some('-'),
        '-' | '_' => Some(sign),
        _ => sign.is_alphanumeric().then_some(sign),
    });
    let name = kept.collect::<String>().to_lowercase();
    let times = seen.entry(name.clone()).or_default();
    *times += 1;
    match *times {
        1 => name,
        times => format!("{name}-{}", times - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_named_as_github_names_them() {
        let text = "# A `b.c`: d!\n\n## Same\n\n## Same\n\n```sh\n# not this\n```\n";
        let document = Document::parse("a.md", text.to_owned());
        assert_eq!(document.anchors, ["a-bc-d", "same", "same-1"]);
    }

    #[test]
    fn links_and_blocks_are_found_with_their_lines_and_code_has_none() {
        let text = "a `[b](c.md)`\n[d](e.md#f)\n\n```json\n[g](h.md)\n```\n";
        let document = Document::parse("a.md", text.to_owned());
        let links: Vec<_> = document.links.iter().map(|it| (&*it.to, it.line)).collect();
        assert_eq!(links, [("e.md#f", 2)]);
        assert_eq!(document.blocks.len(), 1);
        let block = &document.blocks[0];
        assert_eq!((&*block.info, block.line), ("json", 4));
        assert_eq!(block.text, "[g](h.md)\n");
    }
}
