//! Hands the rules to the kernel and makes sure that they hold.
//!
//! The crate's own `path_beneath_rules` passes over paths that do not open, and its best effort
//! ends in a process without a sandbox where a filter of system calls hides Landlock. So each path
//! is opened here, each answer is looked at, and the end is tried out.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};
use nix::{
    fcntl::{OFlag, open},
    sys::stat::{Mode, SFlag, fstat},
};

use super::rules::{Plan, Rights, Rule};

/// The rights that are handled: those that were tested. Later ones would forbid what nobody tried.
const TESTED: ABI = ABI::V6;
/// Below this, no file can be moved between directories at all.
const LEAST_ABI: i32 = 2;
/// What each ABI brought, in words.
const ABILITIES: [(i32, &str); 6] = [
    (1, "files"),
    (2, "moving of files"),
    (3, "truncation"),
    (4, "TCP ports"),
    (5, "device control"),
    (6, "abstract sockets and signals"),
];

/// Why it does not stand.
pub(super) enum Refusal {
    /// A path that the configuration demands cannot be granted; the reason goes on after the key.
    Path { key: &'static str, reason: String },
    /// The kernel cannot, or may not, close it.
    Kernel(String),
}

/// What stands.
pub(super) struct Enforced {
    /// The kernel's ABI.
    pub(super) abi: i32,
    /// What is enforced, and what the kernel is too old for.
    pub(super) done: Vec<&'static str>,
    pub(super) missing: Vec<&'static str>,
    /// What was granted, in words.
    pub(super) granted: Vec<String>,
    /// To be kept open as long as the process lives.
    pub(super) held: Vec<OwnedFd>,
    /// Files that are granted alone.
    pub(super) alone: Vec<PathBuf>,
}

/// Closes the sandbox around this process, which must have one thread. If not `strict`, a path that
/// cannot be opened is only said in the log.
pub(super) fn restrict(plan: &Plan, strict: bool) -> Result<Enforced, Refusal> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(Refusal::Kernel(format!("{threads} threads run already")));
    }
    let opened = open_all(&plan.rules, strict)?;
    let status = apply(plan, &opened).map_err(|error| Refusal::Kernel(error.to_string()))?;
    let abi = judge(&status).map_err(Refusal::Kernel)?;
    if !grants_root(plan) {
        try_out().map_err(Refusal::Kernel)?;
    }
    let (done, missing) = ABILITIES.iter().partition::<Vec<_>, _>(|(least, _)| *least <= abi);
    let words =
        |abilities: Vec<&(i32, &'static str)>| abilities.iter().map(|(_, word)| *word).collect();
    let granted =
        opened.iter().map(|(rule, _)| format!("{:?} {}", rule.rights, rule.path.display()));
    let granted = granted.collect();
    // A file that is not there yet can come to be, and is not granted then.
    let alone = plan.rules.iter().filter(|rule| rule.alone).map(|rule| rule.path.clone());
    let alone = alone.collect();
    let process = |rule: &Rule| rule.path.starts_with("/proc");
    let held = opened.into_iter().filter(|(rule, _)| process(rule)).map(|(_, file)| file).collect();
    Ok(Enforced { abi, done: words(done), missing: words(missing), granted, held, alone })
}

fn open_all(rules: &[Rule], strict: bool) -> Result<Vec<(&Rule, OwnedFd)>, Refusal> {
    let mut opened = Vec::with_capacity(rules.len());
    for rule in rules {
        let path = rule.path.display();
        match (open(&rule.path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()), rule.key) {
            (Ok(file), _) => opened.push((rule, file)),
            (Err(error), None) => tracing::debug!("the sandbox cannot grant {path}: {error}"),
            (Err(error), Some(key)) => {
                let reason =
                    format!("names {path}, which cannot be granted: {}", io::Error::from(error));
                if strict {
                    return Err(Refusal::Path { key, reason });
                }
                tracing::warn!("`{key}` {reason}");
            }
        }
    }
    Ok(opened)
}

fn apply(
    plan: &Plan,
    opened: &[(&Rule, OwnedFd)],
) -> Result<RestrictionStatus, Box<dyn std::error::Error>> {
    // All listeners are open by now. Without a broker the server connects to whatever port another
    // server's name says, and Landlock knows no ports that are forbidden, only some that are not.
    let net = if plan.connects {
        AccessNet::BindTcp.into()
    } else {
        AccessNet::BindTcp | AccessNet::ConnectTcp
    };
    let scope = if plan.abstract_sockets {
        Scope::Signal.into()
    } else {
        Scope::Signal | Scope::AbstractUnixSocket
    };
    let mut ruleset: RulesetCreated = Ruleset::default()
        .handle_access(AccessFs::from_all(TESTED))?
        .handle_access::<_, AccessNet>(net)?
        .scope::<BitFlags<Scope>>(scope)?
        .create()?;
    for (rule, file) in opened {
        let rights = rights(rule.rights, is_directory(file)?);
        ruleset = ruleset.add_rule(PathBeneath::new(file, rights))?;
    }
    Ok(ruleset.restrict_self()?)
}

fn is_directory(file: &impl AsFd) -> io::Result<bool> {
    let mode = SFlag::from_bits_truncate(fstat(file)?.st_mode);
    Ok(mode & SFlag::S_IFMT == SFlag::S_IFDIR)
}

/// Rights of directories cannot be granted on a file.
fn rights(rights: Rights, directory: bool) -> BitFlags<AccessFs> {
    let whole = match rights {
        Rights::Read => make_bitflags!(AccessFs::{ReadFile | ReadDir}),
        Rights::Use => make_bitflags!(AccessFs::{ReadFile | WriteFile}),
        Rights::Remove => make_bitflags!(AccessFs::{RemoveFile}),
        Rights::Write => make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSock | MakeSym
                | RemoveFile | RemoveDir | Refer
        }),
    };
    if directory { whole } else { whole & AccessFs::from_file(TESTED) }
}

/// The kernel's ABI, if what it enforces is what was asked of it.
fn judge(status: &RestrictionStatus) -> Result<i32, String> {
    let abi = match status.landlock {
        LandlockStatus::NotEnabled => {
            return Err("this kernel was started without Landlock (see lsm= in \
                        kernel-command-line(7))"
                .to_owned());
        }
        LandlockStatus::NotImplemented => {
            return Err("this kernel has no Landlock, or a container hides it".to_owned());
        }
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.unwrap_or(effective_abi as i32)
        }
    };
    if abi < LEAST_ABI {
        return Err(format!("this kernel's Landlock is too old (ABI {abi}, not {LEAST_ABI})"));
    }
    let expected = if abi < TESTED as i32 {
        RulesetStatus::PartiallyEnforced
    } else {
        RulesetStatus::FullyEnforced
    };
    if status.ruleset != expected || !status.no_new_privs {
        return Err(format!("the kernel does not enforce all rules: {status:?}"));
    }
    Ok(abi)
}

fn grants_root(plan: &Plan) -> bool {
    plan.rules.iter().any(|rule| rule.path == Path::new("/"))
}

/// Nothing grants the listing of the root, so that it shows whether anything is enforced.
fn try_out() -> Result<(), String> {
    match fs::read_dir("/") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err("the kernel accepted the rules, but does not enforce them".to_owned()),
    }
}
