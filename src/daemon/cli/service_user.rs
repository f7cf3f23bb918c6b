//! What the user of the service can read, as root asks it: by being that user for a moment, so that
//! modes, lists of access and directories above count as they do for the service.
//!
//! Invariant: root is root again afterwards, or the command fails.

use std::{ffi::CString, fs::File, path::PathBuf};

use nix::unistd::{
    Gid, Uid, User, getegid, geteuid, getgroups, initgroups, setegid, seteuid, setgroups,
};

use super::SERVICE;
use crate::failure::Failure;

/// Files that the service could not read, a line for each. None if this is not root, or if there
/// is no such user.
pub(super) fn unreadable(files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let user = User::from_name(SERVICE).ok().flatten();
    let Some(user) = user.filter(|_| geteuid().is_root()) else { return Ok(Vec::new()) };
    let cannot = |error| Failure::new(format!("cannot look as the user {SERVICE}: {error}"));
    let before = Before { group: getegid(), groups: getgroups().map_err(cannot)? };
    let looked = become_user(&user).map(|()| look(files));
    before.restore().map_err(cannot)?;
    looked.map_err(cannot)
}

fn become_user(user: &User) -> nix::Result<()> {
    let name = CString::new(user.name.as_str()).map_err(|_| nix::Error::EINVAL)?;
    initgroups(&name, user.gid)?;
    setegid(user.gid)?;
    seteuid(user.uid)
}

/// Who root was.
struct Before {
    group: Gid,
    groups: Vec<Gid>,
}

impl Before {
    fn restore(&self) -> nix::Result<()> {
        seteuid(Uid::from_raw(0))?;
        setegid(self.group)?;
        setgroups(&self.groups)
    }
}

fn look(files: &[PathBuf]) -> Vec<String> {
    let tell = |file: &PathBuf| {
        let error = File::open(file).err()?;
        let file = file.display();
        Some(format!("{file}: the service, which is the user {SERVICE}, cannot read it: {error}"))
    };
    files.iter().filter_map(tell).collect()
}
