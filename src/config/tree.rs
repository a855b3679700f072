//! YAML text as a tree that remembers lines. `file` and `keys` read it; it knows nothing of the keys it carries.
//!
//! Scalars stay text: what `0123` or `yes` means depends on the key it stands under, so `kind` decides. Anchors, aliases and
//! merge keys are resolved here. Only the first document of a stream is read, as LiveKit does.

use crate::limits::CONFIG_NODES_MAX;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::collections::BTreeMap;

/// A YAML value and the line it starts on, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: usize,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `plain` is false for quoted and block text, which is never a number, a boolean or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub line: usize,
    pub key: String,
    pub value: Node,
}

/// Text that is not YAML, or YAML we refuse to hold.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{what}")]
pub struct Malformed {
    pub line: usize,
    pub what: String,
}

impl Node {
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, plain: true } => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }
}

/// Reads the first document of `text`; an empty text is a null. Repeated keys are an error.
pub fn parse(text: &str) -> Result<Node, Malformed> {
    let mut repeats = Vec::new();
    let root = parse_noting(text, &mut repeats)?;
    repeats.into_iter().next().map_or(Ok(root), Err)
}

/// As `parse`, but keeps the first of repeated keys and notes the others, so that the rest can be looked at too.
pub fn parse_noting(text: &str, repeats: &mut Vec<Malformed>) -> Result<Node, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder { events: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0, repeats };
    loop {
        match builder.event()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(null(1)),
            (event, span) => return builder.node(event, span),
        }
    }
}

fn null(line: usize) -> Node {
    Node { line, content: Content::Scalar { text: String::new(), plain: true } }
}

struct Builder<'a, 'n> {
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    repeats: &'n mut Vec<Malformed>,
}

impl<'a> Builder<'a, '_> {
    fn event(&mut self) -> Result<(Event<'a>, Span), Malformed> {
        loop {
            match self.events.next() {
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => return Err(scan_error(&error)),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Malformed> {
        let line = span.start.line();
        self.count(line, 1)?;
        let (anchor, content) = match event {
            Event::Alias(id) => return self.alias(id, line),
            Event::Scalar(text, style, anchor, tag) => {
                let told_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !told_text;
                (anchor, Content::Scalar { text: text.into_owned(), plain })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Content::List(self.list()?)),
            Event::MappingStart(_, anchor, _) => (anchor, Content::Map(self.map()?)),
            _ => return Err(Malformed { line, what: "a value is missing".into() }),
        };
        let node = Node { line, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, line: usize) -> Result<Node, Malformed> {
        let node = self.anchors.get(&id).cloned();
        let node = node.ok_or_else(|| Malformed { line, what: "an alias stands inside its own anchor".into() })?;
        self.count(line, size(&node))?;
        Ok(node)
    }

    /// Aliases multiply: without this bound a few lines could ask for all memory.
    fn count(&mut self, line: usize, more: usize) -> Result<(), Malformed> {
        self.nodes += more;
        if self.nodes <= CONFIG_NODES_MAX {
            return Ok(());
        }
        Err(Malformed { line, what: format!("more than {CONFIG_NODES_MAX} values; use fewer aliases") })
    }

    fn list(&mut self) -> Result<Vec<Node>, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Vec<Entry>, Malformed> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span)?;
            let (event, span) = self.event()?;
            let value = self.node(event, span)?;
            match entry(key, value)? {
                Keyed::Merge(more) => merged.extend(more),
                Keyed::Entry(new) => self.push(&mut entries, new),
            }
        }
        for late in merged {
            if !entries.iter().any(|entry| entry.key == late.key) {
                entries.push(late);
            }
        }
        Ok(entries)
    }

    fn push(&mut self, entries: &mut Vec<Entry>, new: Entry) {
        match entries.iter().find(|old| old.key == new.key) {
            None => entries.push(new),
            Some(old) => {
                let what = format!("`{}` already stands on line {}; keep one of them", new.key, old.line);
                self.repeats.push(Malformed { line: new.line, what });
            }
        }
    }
}

enum Keyed {
    Entry(Entry),
    Merge(Vec<Entry>),
}

fn entry(key: Node, value: Node) -> Result<Keyed, Malformed> {
    let Content::Scalar { text, plain } = key.content else {
        return Err(Malformed { line: key.line, what: "a key must be text".into() });
    };
    if plain && text == "<<" {
        return merge(value).map(Keyed::Merge);
    }
    Ok(Keyed::Entry(Entry { line: key.line, key: text, value }))
}

fn merge(value: Node) -> Result<Vec<Entry>, Malformed> {
    match value.content {
        Content::Map(entries) => Ok(entries),
        Content::List(maps) => maps.into_iter().map(merge).collect::<Result<Vec<_>, _>>().map(|all| all.concat()),
        Content::Scalar { .. } => Err(Malformed { line: value.line, what: "`<<` needs a mapping".into() }),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar { .. } => 0,
        Content::List(items) => items.iter().map(size).sum(),
        Content::Map(entries) => entries.iter().map(|entry| 1 + size(&entry.value)).sum(),
    }
}

fn scan_error(error: &ScanError) -> Malformed {
    Malformed { line: error.marker().line(), what: error.info() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Vec<Entry> {
        match parse(text).expect(text).content {
            Content::Map(entries) => entries,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    fn scalar(node: &Node) -> &str {
        match &node.content {
            Content::Scalar { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_are_those_of_the_text() {
        let entries = map("# first\nport: 1\nrtc:\n  tcp_port: 2\n");
        assert_eq!((entries[0].line, entries[1].line, entries[1].value.line), (2, 3, 4));
    }

    #[test]
    fn quoted_text_is_never_null() {
        let entries = map("a: ~\nb: 'null'\nc:\nd: !!str null\n");
        let nulls: Vec<bool> = entries.iter().map(|entry| entry.value.is_null()).collect();
        assert_eq!(nulls, [true, false, true, false]);
    }

    #[test]
    fn merge_keys_yield_to_explicit_ones() {
        let entries = map("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n");
        let Content::Map(inner) = &entries[1].value.content else { panic!() };
        let found: Vec<(&str, &str)> = inner.iter().map(|e| (e.key.as_str(), scalar(&e.value))).collect();
        assert_eq!(found, [("y", "3"), ("x", "1")]);
    }

    #[test]
    fn repeated_keys_are_refused_with_both_lines() {
        let error = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!((error.line, error.what.as_str()), (3, "`a` already stands on line 1; keep one of them"));
    }

    #[test]
    fn aliases_cannot_multiply_without_bound() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let uses = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().what.starts_with("more than"));
    }

    #[test]
    fn an_empty_text_is_null_and_only_the_first_document_counts() {
        assert!(parse("").unwrap().is_null());
        assert!(parse("# only a comment\n").unwrap().is_null());
        assert_eq!(map("---\na: 1\n---\na: 2\n").len(), 1);
    }

    #[test]
    fn syntax_errors_name_their_line() {
        assert_eq!(parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err().line, 3);
    }
}
