//! Writes the seeds of every target to the folders where cargo-fuzz looks for them.

use std::{error::Error, fs, path::Path};

use chancery_test_properties::Target;

fn main() -> Result<(), Box<dyn Error>> {
    for target in Target::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target.name());
        fs::create_dir_all(&folder)?;
        for (number, seed) in target.seeds().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
    }
    Ok(())
}
