//! Finds the known name nearest to a misspelt one.

/// The known name nearest to a misspelt one, for "did you mean …?": at most a third of the letters (and at least one, at most four) may differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (name.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let known = ["topic-prefix", "group-prefix", "partitions"];
        assert_eq!(nearest("topic_prefix", known), Some("topic-prefix"));
        assert_eq!(nearest("partition", known), Some("partitions"));
        assert_eq!(nearest("colour", known), None);
    }
}
