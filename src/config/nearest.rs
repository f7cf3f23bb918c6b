//! Finds the key that somebody probably meant.

/// The candidate nearest to `word`, if one is near enough to be worth a suggestion.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let enough = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= enough || is_part(word, candidate))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Whether one is the other with more words at an end: `enable_registration` and `registration`.
fn is_part(word: &str, candidate: &str) -> bool {
    let (short, long) =
        if word.len() < candidate.len() { (word, candidate) } else { (candidate, word) };
    short.len() >= 3
        && (long.strip_prefix(short).is_some_and(|rest| rest.starts_with('_'))
            || long.strip_suffix(short).is_some_and(|rest| rest.ends_with('_')))
}

/// Insertions, deletions, replacements and swaps of neighbours between the two.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (index, cell) in rows[0].iter_mut().enumerate() {
        *cell = index;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replace = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("bind", "bind"), 0);
        assert_eq!(distance("bnid", "bind"), 1);
        assert_eq!(distance("binds", "bind"), 1);
        assert_eq!(distance("", "bind"), 4);
        assert_eq!(distance("server", "saver"), 2);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let keys = ["enabled", "require_token", "shared_secret", "shared_secret_file"];
        assert_eq!(nearest("enable", keys), Some("enabled"));
        assert_eq!(nearest("sharedsecret", keys), Some("shared_secret"));
        assert_eq!(nearest("shared_secret_path", keys), Some("shared_secret_file"));
        assert_eq!(nearest("token", keys), Some("require_token"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("x", []), None);
    }
}
