//! Tests of the table of room versions.

use super::*;

#[test]
fn the_table_agrees_with_ruma() {
    for rules in Rules::all() {
        let ruma = rules.version().rules().unwrap();
        assert_eq!(format!("{:?}", rules.ruma), format!("{ruma:?}"), "version {}", rules.id);
        assert_eq!(rules.json == Form::Strict, ruma.authorization.strict_canonical_json);
        let v2 = ruma.state_res.v2_rules();
        let expected = match v2.map(|rules| rules.consider_conflicted_state_subgraph) {
            None => StateResolution::V1,
            Some(false) => StateResolution::V2,
            Some(true) => StateResolution::V2_1,
        };
        assert_eq!(rules.state_resolution, expected);
    }
}

#[test]
fn unknown_versions_have_no_rules() {
    assert!(Rules::of("13").is_none());
    assert!(Rules::of("").is_none());
    assert_eq!(Rules::of(DEFAULT_VERSION).unwrap().id, "12");
}
