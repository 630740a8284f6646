//! The module author's guide says what its example is.

use std::{fs, path::Path};

use chancery_acceptance::root;

#[test]
fn every_excerpt_of_the_guide_stands_in_the_example_and_its_size_is_told() {
    let (mut files, mut lines, mut example) = (0, 0, String::new());
    let mut read = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        files += 1;
        lines += text.lines().count();
        example += &text;
    };
    let folder = root().join("docs/examples/library");
    let mut folders = vec![folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            match path.is_dir() {
                true if name != "target" => folders.push(path),
                false if name != "Cargo.lock" => read(&path),
                _ => {}
            }
        }
    }
    let guide = fs::read_to_string(root().join("docs/module-author.md")).unwrap();
    assert!(
        guide.contains(&format!("It is {files} files and {lines} lines")),
        "{files} files, {lines} lines"
    );
    for block in ["```rust\n", "```toml\n"].into_iter().flat_map(|fence| guide.split(fence).skip(1)) {
        let excerpt = block.split("```").next().unwrap();
        assert!(example.contains(excerpt), "this is not in the example:\n{excerpt}");
    }
}
