//! `[rooms]`: how rooms are made and who lists them. Changed by a reload.

use ruma::RoomVersionId;

use crate::{
    reader::Reader,
    setting::{Fault, Setting, quote},
    tree::Node,
};

/// A room version, 1 to 12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomVersion(pub RoomVersionId);

impl Setting for RoomVersion {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let text = String::parse(node)?;
        let is_stable = text.bytes().all(|byte| byte.is_ascii_digit());
        match RoomVersionId::try_from(text) {
            Ok(version) if is_stable && version.rules().is_some() => Ok(Self(version)),
            _ => Err(Fault::new(node, "expects a room version from \"1\" to \"12\"")),
        }
    }

    fn show(&self) -> String {
        quote(self.0.as_str())
    }
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// The version of rooms that are made without naming one.
    pub default_version: RoomVersion,
    /// Whether new rooms are open to other servers when their maker does not say.
    pub federate_by_default: bool,
    /// Whether users may put rooms into the public directory.
    pub publishing: bool,
    /// Whether the public directory is shown to those who are not logged in.
    pub directory_without_login: bool,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Rooms {
    Rooms {
        default_version: reader.or("default_version", RoomVersion(RoomVersionId::V12)),
        federate_by_default: reader.or("federate_by_default", true),
        publishing: reader.or("publishing", true),
        directory_without_login: reader.or("directory_without_login", false),
    }
}
