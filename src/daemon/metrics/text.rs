//! The Prometheus text format, version 0.0.4: families with their help and type, and samples.
//!
//! Invariant: a family is opened once and its samples follow it at once; labels are escaped,
//! whatever is in them.
//!
//! Spec: prometheus.io, "Exposition formats".

use std::fmt::{self, Display, Write};

use proto::meter::Times;

/// What every name begins with.
const PREFIX: &str = "matrix_homeserver_";

/// How a number behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A text that grows.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// A family of numbers. Its name ends in its unit, and in `_total` if it is a counter.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.open(name, kind, help);
        Family { out: &mut self.0, name }
    }

    /// A family of times.
    pub(super) fn times(&mut self, name: &'static str, help: &str) -> TimesFamily<'_> {
        self.open(name, "histogram", help);
        TimesFamily { out: &mut self.0, name }
    }

    /// The text, complete.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn open(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n");
    }
}

/// The samples of a family of numbers.
pub(super) struct Family<'t> {
    out: &'t mut String,
    name: &'static str,
}

impl Family<'_> {
    /// The only sample.
    pub(super) fn is(&mut self, value: impl Display) {
        self.with(&[], value);
    }

    /// The sample with these labels.
    pub(super) fn with(&mut self, labels: &[(&str, &str)], value: impl Display) {
        sample(self.out, (self.name, ""), labels, value);
    }
}

/// The samples of a family of times.
pub(super) struct TimesFamily<'t> {
    out: &'t mut String,
    name: &'static str,
}

impl TimesFamily<'_> {
    /// The only ones.
    pub(super) fn are(&mut self, times: &Times) {
        self.with(&[], times);
    }

    /// Those with these labels.
    pub(super) fn with(&mut self, labels: &[(&str, &str)], times: &Times) {
        for (bound_us, count) in &times.buckets {
            self.bucket(labels, &Seconds(*bound_us).to_string(), *count);
        }
        self.bucket(labels, "+Inf", times.count);
        sample(self.out, (self.name, "_sum"), labels, Seconds(times.sum_us));
        sample(self.out, (self.name, "_count"), labels, times.count);
    }

    fn bucket(&mut self, labels: &[(&str, &str)], bound: &str, count: u64) {
        let labels = [labels, &[("le", bound)]].concat();
        sample(self.out, (self.name, "_bucket"), &labels, count);
    }
}

/// Writes one line. Writing into a string cannot fail.
fn sample(out: &mut String, name: (&str, &str), labels: &[(&str, &str)], value: impl Display) {
    let (name, suffix) = name;
    let _ = write!(out, "{PREFIX}{name}{suffix}");
    for (number, (label, text)) in labels.iter().enumerate() {
        let begin = if number == 0 { '{' } else { ',' };
        let _ = write!(out, "{begin}{label}=\"{}\"", Escaped(text));
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(out, "{end} {value}");
}

/// A label's value as it may stand between quotation marks.
struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => formatter.write_str("\\\\")?,
                '"' => formatter.write_str("\\\"")?,
                '\n' => formatter.write_str("\\n")?,
                character => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Microseconds, shown as seconds without needless zeros.
pub(super) struct Seconds(pub(super) u64);

impl Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return write!(formatter, "{seconds}");
        }
        let rest = format!("{rest:06}");
        write!(formatter, "{seconds}.{}", rest.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_their_samples() {
        let mut text = Text::default();
        text.family("things_total", Kind::Counter, "Things.").is(3_u64);
        let mut family = text.family("open", Kind::Gauge, "Open.");
        family.with(&[("at", "a\\b\"c\nd"), ("of", "x")], 0.5);
        let times = Times { buckets: vec![(500, 1), (2_000_000, 2)], count: 3, sum_us: 7_000_250 };
        text.times("taken_seconds", "Taken.").are(&times);
        let expected = "\
# HELP matrix_homeserver_things_total Things.
# TYPE matrix_homeserver_things_total counter
matrix_homeserver_things_total 3
# HELP matrix_homeserver_open Open.
# TYPE matrix_homeserver_open gauge
matrix_homeserver_open{at=\"a\\\\b\\\"c\\nd\",of=\"x\"} 0.5
# HELP matrix_homeserver_taken_seconds Taken.
# TYPE matrix_homeserver_taken_seconds histogram
matrix_homeserver_taken_seconds_bucket{le=\"0.0005\"} 1
matrix_homeserver_taken_seconds_bucket{le=\"2\"} 2
matrix_homeserver_taken_seconds_bucket{le=\"+Inf\"} 3
matrix_homeserver_taken_seconds_sum 7.00025
matrix_homeserver_taken_seconds_count 3
";
        assert_eq!(text.finish(), expected);
    }
}
