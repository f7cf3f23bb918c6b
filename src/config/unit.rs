//! Durations and sizes as an administrator writes them: `"10s"`, `"1h 30m"`, `"64 MiB"`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

const SIZE_UNITS: [(&str, u64); 10] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// The number.
    pub bytes: u64,
}

impl Size {
    pub(crate) const fn kib(count: u64) -> Self {
        Self { bytes: count << 10 }
    }

    pub(crate) const fn mib(count: u64) -> Self {
        Self { bytes: count << 20 }
    }

    pub(crate) const fn gib(count: u64) -> Self {
        Self { bytes: count << 30 }
    }
}

/// Reads `"90s"`, `"1h 30m"`, `"500 ms"`: numbers with units, largest unit first.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms = 0_u64;
    let mut last_unit_ms = u64::MAX;
    while !rest.is_empty() {
        let (number, unit, after) = split(rest)?;
        let unit_ms = find(&DURATION_UNITS, unit)?;
        if unit_ms >= last_unit_ms {
            return None;
        }
        last_unit_ms = unit_ms;
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
        rest = after.trim_start();
    }
    (last_unit_ms != u64::MAX).then(|| Duration::from_millis(total_ms))
}

/// Reads `"64 MiB"`, `"50M"`, `"1 GB"`: K, M and G alone are powers of 1024, as in systemd.
pub(crate) fn parse_size(text: &str) -> Option<Size> {
    let (number, unit, rest) = split(text.trim())?;
    let bytes = number.checked_mul(find(&SIZE_UNITS, unit)?)?;
    rest.is_empty().then_some(Size { bytes })
}

/// The number, the unit and what follows them.
fn split(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    Some((number, &rest[..letters], &rest[letters..]))
}

fn find(units: &[(&str, u64)], name: &str) -> Option<u64> {
    units.iter().find(|(unit, _)| *unit == name).map(|&(_, factor)| factor)
}

/// Writes a duration so that [`parse_duration`] reads it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, factor) in DURATION_UNITS {
        // Weeks are for writing only: "14d" is plainer than "2w".
        if unit == "w" || rest / factor == 0 {
            continue;
        }
        parts.push(format!("{}{unit}", rest / factor));
        rest %= factor;
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Writes a size so that [`parse_size`] reads it.
pub(crate) fn show_size(size: Size) -> String {
    let fits =
        |(_, factor): &&(&str, u64)| size.bytes >= *factor && size.bytes.is_multiple_of(*factor);
    match SIZE_UNITS[..4].iter().find(fits) {
        Some((unit, factor)) => format!("{} {unit}", size.bytes / factor),
        None => format!("{} B", size.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<u64> {
        parse_duration(text).map(|duration| u64::try_from(duration.as_millis()).unwrap())
    }

    #[test]
    fn reads_durations() {
        assert_eq!(ms("10s"), Some(10_000));
        assert_eq!(ms(" 500 ms "), Some(500));
        assert_eq!(ms("1h 30m"), Some(5_400_000));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("2w"), Some(14 * 86_400_000));
        assert_eq!(ms("0s"), Some(0));
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "10", "s", "10 seconds", "-1s", "1.5h", "30m 1h", "1s 1s", "1s x"] {
            assert_eq!(ms(text), None, "{text}");
        }
        assert_eq!(ms("99999999999999999999s"), None);
        assert_eq!(ms("18446744073709551615w"), None);
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(parse_size("64 MiB"), Some(Size::mib(64)));
        assert_eq!(parse_size("50M"), Some(Size::mib(50)));
        assert_eq!(parse_size("1GB"), Some(Size { bytes: 1_000_000_000 }));
        assert_eq!(parse_size("0 B"), Some(Size { bytes: 0 }));
        for text in ["", "64", "MiB", "64 mib", "64 MiB 1", "-1 B", "20000000000 GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for total_ms in [0, 1, 1500, 60_000, 86_400_000, 5_400_000, 90_061_001] {
            let duration = Duration::from_millis(total_ms);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        for bytes in [0, 1, 1023, 1024, 1 << 20, 3 << 29, (1 << 20) + 1] {
            assert_eq!(parse_size(&show_size(Size { bytes })), Some(Size { bytes }));
        }
        assert_eq!(show_duration(Duration::from_hours(36)), "1d 12h");
        assert_eq!(show_size(Size::mib(64)), "64 MiB");
    }
}
