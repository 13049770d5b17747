//! Input: the generated table `librdkafka.tsv`. Output: [`Property`] values. A test of `kafkaesk-client` writes the table.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

const TABLE: &str = include_str!("librdkafka.tsv");

/// Which clients a property is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Consumers only.
    Consumer,
    /// Producers only.
    Producer,
    /// Every client.
    Both,
}

impl Role {
    /// Whether a property of this role has an effect on a client of that role.
    pub fn applies_to(self, client: Role) -> bool {
        self == Role::Both || client == Role::Both || self == client
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Consumer => "consumer",
            Role::Producer => "producer",
            Role::Both => "client",
        })
    }
}

/// What kind of value a property takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A whole number within `range`.
    Integer,
    /// A number within `range`.
    Float,
    /// `true` or `false`.
    Boolean,
    /// One of the words in `range`, in any case.
    Choice,
    /// A comma-separated list of the words in `range`.
    Flags,
    /// Set by a function of librdkafka, not by text.
    Callback,
}

/// A property as librdkafka documents it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property {
    /// Its name, or one of its aliases.
    pub name: &'static str,
    /// The name that it shares with its aliases; its own name for most properties.
    pub canonical: &'static str,
    /// Whose it is.
    pub role: Role,
    /// A topic's property (librdkafka's second table), which it takes in the global place as well.
    pub topic: bool,
    /// What it takes.
    pub kind: ValueKind,
    /// The allowed numbers (`1 .. 100000000`) or words (`none, gzip`), as documented; empty for text.
    pub range: &'static str,
    /// librdkafka redacts it, so do we.
    pub sensitive: bool,
    /// librdkafka calls it deprecated.
    pub deprecated: bool,
}

static PROPERTIES: LazyLock<Vec<Property>> =
    LazyLock::new(|| TABLE.lines().filter_map(parse_line).collect());

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Property>> = LazyLock::new(|| {
    let mut names = BTreeMap::new();
    // A name in both scopes means the global property, as it does in librdkafka.
    for property in PROPERTIES.iter() {
        names.entry(property.name).or_insert(property);
    }
    names
});

/// Every documented property of the pinned librdkafka, global ones first.
pub fn properties() -> &'static [Property] {
    &PROPERTIES
}

pub(super) fn find(name: &str) -> Option<&'static Property> {
    BY_NAME.get(name).copied()
}

fn parse_line(line: &'static str) -> Option<Property> {
    if line.starts_with('#') {
        return None;
    }
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let canonical = columns.next()?;
    let topic = columns.next()? == "topic";
    let role = match columns.next()? {
        "C" => Role::Consumer,
        "P" => Role::Producer,
        _ => Role::Both,
    };
    let kind = match columns.next()? {
        "integer" => ValueKind::Integer,
        "float" => ValueKind::Float,
        "boolean" => ValueKind::Boolean,
        "enum value" => ValueKind::Choice,
        "CSV flags" => ValueKind::Flags,
        "see dedicated API" => ValueKind::Callback,
        _ => ValueKind::Text,
    };
    let range = columns.next()?;
    let flags = columns.next()?;
    Some(Property {
        name,
        canonical,
        role,
        topic,
        kind,
        range,
        sensitive: flags.contains("sensitive"),
        deprecated: flags.contains("deprecated"),
    })
}
