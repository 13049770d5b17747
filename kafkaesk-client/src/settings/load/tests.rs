//! Laws of the loader.

use super::Loader;

#[test]
fn nothing_set_is_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = Loader::new()
        .directory(folder.path())
        .variables([])
        .load()
        .unwrap();
    let debug = format!("{:?}", crate::Settings::default());
    assert_eq!(format!("{:?}", loaded.settings), debug);
    assert!(
        loaded
            .effective
            .iter()
            .all(|setting| setting.source == "default")
    );
}
