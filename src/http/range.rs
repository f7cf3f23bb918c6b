//! Ranges of IP addresses, for what may and what may not be connected to.
//!
//! Invariant: an IPv4 address is the same address however it is wrapped in IPv6 (mapped,
//! compatible, 6to4, NAT64), so that a denied one cannot be reached under another spelling.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network such as `10.0.0.0/8` or `fe80::/10`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    network: IpAddr,
    prefix: u8,
}

/// The text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no IP range: {reason}")]
pub struct IpRangeError {
    text: String,
    reason: &'static str,
}

impl IpRange {
    /// Whether the address itself (not one that is wrapped in it) lies in the range.
    fn covers(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                u32::from(network) == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                u128::from(network) == u128::from(address) & mask
            }
            _ => false,
        }
    }

    /// Whether the address, or an IPv4 address that is wrapped in it, lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let wrapped = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => wrapped_v4(address),
        };
        self.covers(address) || wrapped.is_some_and(|inner| self.covers(IpAddr::V4(inner)))
    }
}

/// The IPv4 address that packets to `address` would reach in the end.
fn wrapped_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let at = |start: usize| {
        Ipv4Addr::new(octets[start], octets[start + 1], octets[start + 2], octets[start + 3])
    };
    match address.segments() {
        // ::1 and :: are addresses of their own, not compatible forms of 0.0.0.1 and 0.0.0.0.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(at(12)),
        [0x2002, ..] => Some(at(2)),
        _ => None,
    }
}

impl FromStr for IpRange {
    type Err = IpRangeError;

    fn from_str(text: &str) -> Result<Self, IpRangeError> {
        let fail = |reason| IpRangeError { text: text.to_owned(), reason };
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let network: IpAddr =
            address.parse().map_err(|_| fail("no IP address before the slash"))?;
        let bits = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(|| fail("the prefix is longer than the address"))?,
            Some(_) => return Err(fail("the prefix after the slash is no number")),
        };
        let range = Self { network, prefix };
        if !range.covers(network) {
            return Err(fail("bits behind the prefix are set"));
        }
        Ok(range)
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

/// What may be connected to: everything but `deny`, and what is in `allow` in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpRanges {
    /// Never connected to …
    pub deny: Vec<IpRange>,
    /// … unless it lies here.
    pub allow: Vec<IpRange>,
}

impl IpRanges {
    /// The range that forbids connecting to the address, if there is one.
    pub fn denying(&self, address: IpAddr) -> Option<IpRange> {
        let covering =
            |ranges: &[IpRange]| ranges.iter().find(|range| range.contains(address)).copied();
        if covering(&self.allow).is_some() {
            return None;
        }
        covering(&self.deny)
    }

    /// Whether the address may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.denying(address).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> IpRange {
        text.parse().unwrap()
    }

    fn contains(text: &str, address: &str) -> bool {
        range(text).contains(address.parse().unwrap())
    }

    #[test]
    fn covers_its_network_and_nothing_else() {
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("fe80::/10", "febf::1"));
        assert!(!contains("fe80::/10", "fec0::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("::1/128", "::1"));
        assert!(!contains("0.0.0.0/8", "::1"));
    }

    #[test]
    fn sees_through_wrapped_addresses() {
        for wrapped in ["::ffff:10.1.2.3", "::10.1.2.3", "2002:0a01:0203::1", "64:ff9b::10.1.2.3"] {
            assert!(contains("10.0.0.0/8", wrapped), "{wrapped}");
            assert!(!contains("11.0.0.0/8", wrapped), "{wrapped}");
        }
        assert!(contains("::ffff:0:0/96", "::ffff:10.1.2.3"));
    }

    #[test]
    fn refuses_what_is_no_range() {
        let refused = |text: &str| text.parse::<IpRange>().unwrap_err().to_string();
        assert!(refused("10.0.0.0/33").contains("longer"));
        assert!(refused("10.0.0.0/999").contains("longer"));
        assert!(refused("::/129").contains("longer"));
        assert!(refused("10.0.0.1/8").contains("bits behind"));
        assert!(refused("10.0.0.0/").contains("longer"));
        assert!(refused("10.0.0.0/+8").contains("no number"));
        assert!(refused("example.org").contains("no IP address"));
        assert_eq!(range("10.0.0.0/8").to_string(), "10.0.0.0/8");
    }

    #[test]
    fn allow_wins_over_deny() {
        let ranges =
            IpRanges { deny: vec![range("10.0.0.0/8")], allow: vec![range("10.1.0.0/16")] };
        assert!(ranges.permits("10.1.0.1".parse().unwrap()));
        assert!(!ranges.permits("10.2.0.1".parse().unwrap()));
        assert!(ranges.permits("192.0.2.1".parse().unwrap()));
        assert!(!ranges.permits("::ffff:10.2.0.1".parse().unwrap()));
        assert_eq!(ranges.denying("10.2.0.1".parse().unwrap()), Some(range("10.0.0.0/8")));
    }
}
