//! The cluster query language, as far as constraints and filters of one machine need it: comparisons of
//! `attribute:NAME`, `agentConnected`, `ec2InstanceId`, `runningTasksCount`, `task:group` and their like,
//! joined by `and`, `or`, `not` and parentheses.

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query(Expression);

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    /// The subject has a value that stands in the relation to one of the words.
    Compare(String, Relation, Vec<String>),
    Exists(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
}

impl Query {
    /// Reads an expression.
    ///
    /// # Errors
    /// Says what is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { words: words(text)?, at: 0, depth: 0 };
        let expression = parser.either()?;
        match parser.peek() {
            None => Ok(Self(expression)),
            Some(word) => Err(format!("Invalid expression: '{word}' is not expected.")),
        }
    }

    /// Whether it holds, given the values that a subject has (none when it does not exist).
    pub(crate) fn holds(&self, values: &dyn Fn(&str) -> Vec<String>) -> bool {
        self.0.holds(values)
    }
}

impl Expression {
    fn holds(&self, values: &dyn Fn(&str) -> Vec<String>) -> bool {
        match self {
            Self::And(a, b) => a.holds(values) && b.holds(values),
            Self::Or(a, b) => a.holds(values) || b.holds(values),
            Self::Not(inner) => !inner.holds(values),
            Self::Exists(subject) => !values(subject).is_empty(),
            Self::Compare(subject, relation, words) => {
                let found = values(subject);
                found.iter().any(|value| words.iter().any(|word| relation.holds(value, word)))
            }
        }
    }
}

impl Relation {
    fn holds(self, value: &str, word: &str) -> bool {
        let order = || match (value.parse::<f64>(), word.parse::<f64>()) {
            (Ok(value), Ok(word)) => value.partial_cmp(&word),
            _ => Some(value.cmp(word)),
        };
        match self {
            Self::Equal => value == word,
            Self::Less => order().is_some_and(|order| order.is_lt()),
            Self::LessOrEqual => order().is_some_and(|order| order.is_le()),
            Self::Greater => order().is_some_and(|order| order.is_gt()),
            Self::GreaterOrEqual => order().is_some_and(|order| order.is_ge()),
            Self::Matches => {
                let (value, pattern): (Vec<char>, Vec<char>) = (value.chars().collect(), word.chars().collect());
                pattern_matches(&value, &pattern)
            }
        }
    }
}

/// Whether the whole value matches a pattern of literals, `.` and `*`.
fn pattern_matches(value: &[char], pattern: &[char]) -> bool {
    // One row per consumed pattern atom: which prefixes of the value are matched by it. No backtracking,
    // so a hostile pattern costs no more than length times length.
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some((atom, after)) = rest.split_first() {
        let fits = |c: &char| *atom == '.' || atom == c;
        let mut next = vec![false; value.len() + 1];
        if let Some(('*', after)) = after.split_first() {
            for at in 0..=value.len() {
                next[at] = reached[at] || (at > 0 && next[at - 1] && fits(&value[at - 1]));
            }
            rest = after;
        } else {
            for at in 0..value.len() {
                next[at + 1] = reached[at] && fits(&value[at]);
            }
            rest = after;
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if "()[],".contains(first) {
            1
        } else if "=!<>".contains(first) {
            rest.find(|c: char| !"=!<>~".contains(c)).unwrap_or(rest.len())
        } else if first == '"' {
            let end = rest[1..].find('"').ok_or("Invalid expression: a quote is not closed.")?;
            words.push(rest[1..=end].to_owned());
            rest = rest[end + 2..].trim_start();
            continue;
        } else {
            rest.find(|c: char| c.is_whitespace() || "()[],=!<>".contains(c)).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(length);
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

/// Parentheses and negations may be nested this deep.
const DEPTH_MAX: usize = 32;

struct Parser {
    words: Vec<String>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn take(&mut self) -> Result<String, String> {
        let word = self.words.get(self.at).cloned().ok_or("Invalid expression: it ends too early.")?;
        self.at += 1;
        Ok(word)
    }

    fn eat(&mut self, words: &[&str]) -> bool {
        let there = self.peek().is_some_and(|word| words.contains(&word));
        self.at += usize::from(there);
        there
    }

    fn either(&mut self) -> Result<Expression, String> {
        let mut left = self.both()?;
        while self.eat(&["or", "||"]) {
            left = Expression::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expression, String> {
        let mut left = self.one()?;
        while self.eat(&["and", "&&"]) {
            left = Expression::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("Invalid expression: it is nested too deep.".into());
        }
        let expression = self.one_nested();
        self.depth -= 1;
        expression
    }

    fn one_nested(&mut self) -> Result<Expression, String> {
        if self.eat(&["not", "!"]) {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        if self.eat(&["("]) {
            let inner = self.either()?;
            return if self.eat(&[")"]) { Ok(inner) } else { Err("Invalid expression: ')' is missing.".into()) };
        }
        let subject = self.take()?;
        if "()[],".contains(&subject) || subject.starts_with(['=', '!', '<', '>']) {
            return Err(format!("Invalid expression: '{subject}' is not expected."));
        }
        let operator = self.take()?;
        let (relation, negated) = match operator.as_str() {
            "exists" => return Ok(Expression::Exists(subject)),
            "!exists" | "not_exists" => return Ok(Expression::Not(Box::new(Expression::Exists(subject)))),
            "!" if self.eat(&["exists"]) => {
                return Ok(Expression::Not(Box::new(Expression::Exists(subject))));
            }
            "in" => return Ok(Expression::Compare(subject, Relation::Equal, self.list()?)),
            "not_in" | "!in" => {
                let inner = Expression::Compare(subject, Relation::Equal, self.list()?);
                return Ok(Expression::Not(Box::new(inner)));
            }
            "!" if self.eat(&["in"]) => {
                let inner = Expression::Compare(subject, Relation::Equal, self.list()?);
                return Ok(Expression::Not(Box::new(inner)));
            }
            "==" | "equals" => (Relation::Equal, false),
            "!=" | "not_equals" => (Relation::Equal, true),
            ">" | "greater_than" => (Relation::Greater, false),
            ">=" | "greater_than_equal" => (Relation::GreaterOrEqual, false),
            "<" | "less_than" => (Relation::Less, false),
            "<=" | "less_than_equal" => (Relation::LessOrEqual, false),
            "=~" | "matches" => (Relation::Matches, false),
            "!~" | "not_matches" => (Relation::Matches, true),
            other => return Err(format!("Invalid expression: '{other}' is no operator.")),
        };
        let compare = Expression::Compare(subject, relation, vec![self.take()?]);
        Ok(if negated { Expression::Not(Box::new(compare)) } else { compare })
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        if !self.eat(&["["]) {
            return Err("Invalid expression: a list in brackets is expected.".into());
        }
        let mut list = Vec::new();
        loop {
            list.push(self.take()?);
            if self.eat(&["]"]) {
                return Ok(list);
            }
            if !self.eat(&[","]) {
                return Err("Invalid expression: ',' or ']' is expected.".into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn expressions_hold_or_do_not() {
        let values = |subject: &str| match subject {
            "attribute:stack" => vec!["blue".to_owned()],
            "attribute:ecs.instance-type" => vec!["g2.small".to_owned()],
            "runningTasksCount" => vec!["9".to_owned()],
            "task:group" => vec!["family:a".to_owned(), "family:b".to_owned()],
            _ => vec![],
        };
        for (text, expected) in [
            ("attribute:stack == blue", true),
            ("attribute:stack==green", false),
            ("attribute:stack != green", true),
            ("not(attribute:stack == blue)", false),
            ("attribute:ecs.instance-type =~ g2.*", true),
            ("attribute:ecs.instance-type =~ g3.*", false),
            ("attribute:stack in [red, blue]", true),
            ("attribute:stack not_in [red, blue]", false),
            ("attribute:gone exists", false),
            ("attribute:gone !exists", true),
            ("runningTasksCount < 10", true),
            ("runningTasksCount >= 10 or attribute:stack == blue and task:group == family:b", true),
            ("(runningTasksCount >= 10 or attribute:stack == blue) and task:group == family:c", false),
            ("attribute:stack == \"blue\"", true),
        ] {
            assert_eq!(Query::parse(text).unwrap().holds(&values), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in
            ["", "attribute:x", "attribute:x ==", "a == b c", "(a == b", "a in b", "a ~ b", "== a b", "a == \"b"]
        {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse(&"(".repeat(100_000)).is_err());
    }
}
