//! Log lines on their way to the journal. Their fields go there apart, and whoever reads the lines
//! alone, as `journalctl -u` shows them, would not see what it was that could not be reached.
//!
//! Invariant: what a field says stands in the text, too; nothing is said twice.

use std::fmt::{Debug, Write};

use tracing::{
    Event, Subscriber, Value,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

/// Most fields of a line that are put into its text; one with more goes as it is.
const FIELDS_MAX: usize = 16;

/// The layer of the journal, whose lines say what their fields do.
pub(crate) struct Readable(pub(crate) tracing_journald::Layer);

impl<S> Layer<S> for Readable
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let Some((message, text)) = said.message() else {
            return self.0.on_event(event, context);
        };
        if said.0.len() > FIELDS_MAX {
            return self.0.on_event(event, context);
        }
        let mut values: [(&Field, Option<&dyn Value>); FIELDS_MAX] = [(&message, None); FIELDS_MAX];
        for (place, (field, value)) in values.iter_mut().zip(&said.0) {
            *place = (field, Some(if *field == message { &text } else { value }));
        }
        let values = event.metadata().fields().value_set(&values);
        self.0.on_event(&Event::new(event.metadata(), &values), context);
    }
}

/// What an event says, field by field.
#[derive(Default)]
struct Said(Vec<(Field, String)>);

impl Said {
    /// The field of the text, and the text with what the other fields say.
    fn message(&self) -> Option<(Field, String)> {
        let (field, text) = self.0.iter().find(|(field, _)| field.name() == "message")?;
        let fields = self.0.iter().map(|(field, value)| (field.name(), value.as_str()));
        Some((field.clone(), complete(text, fields)))
    }
}

/// The text, and behind it the fields whose values it does not name by itself.
fn complete<'a>(text: &str, fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut whole = text.to_owned();
    for (name, value) in fields {
        if !matches!(name, "message" | "MESSAGE_ID") && !text.contains(value) {
            // Writing into a string cannot fail.
            let _ = write!(whole, " {name}={value}");
        }
    }
    whole
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.clone(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.clone(), format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_what_its_fields_say_and_nothing_twice() {
        let text =
            |text, fields: &[(&'static str, &'static str)]| complete(text, fields.iter().copied());
        let fields = [("MESSAGE_ID", "0123"), ("message", "lost"), ("reason", "gone away")];
        assert_eq!(text("lost", &fields), "lost reason=gone away");
        let fields = [("DAYS", "3"), ("CERTIFICATE", "/a.pem"), ("message", "")];
        assert_eq!(text("/a.pem expires in 3 days", &fields), "/a.pem expires in 3 days");
    }
}
