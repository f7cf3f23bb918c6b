//! `[egress]`: what leaves the machine. Changed by a reload. The broker reads this section, too.

use std::time::Duration;

use crate::reader::Reader;

/// What nobody on the internet can be reached by: as Synapse has it.
const PRIVATE_RANGES: [&str; 19] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "192.0.0.0/24",
    "169.254.0.0/16",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
    "2001:db8::/32",
    "ff00::/8",
    "fec0::/10",
];

/// The section. The ranges are texts: the dialer's crate judges them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Ranges of addresses that nothing is connected to …
    pub ip_range_denylist: Vec<String>,
    /// … unless they lie in one of these.
    pub ip_range_allowlist: Vec<String>,
    /// Time for resolving a name and connecting together.
    pub connect_timeout: Duration,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Egress {
    let (second, minutes) = (Duration::from_secs(1), Duration::from_mins(2));
    let default = PRIVATE_RANGES.map(str::to_owned).into();
    Egress {
        ip_range_denylist: reader.or("ip_range_denylist", default),
        ip_range_allowlist: reader.or("ip_range_allowlist", Vec::new()),
        connect_timeout: reader.within(
            "connect_timeout",
            Duration::from_secs(10),
            second..=minutes,
        ),
    }
}
