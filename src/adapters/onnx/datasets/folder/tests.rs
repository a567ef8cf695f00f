//! Folders as people make them.

use super::*;

fn png(path: &Path, pixels: [[u8; 3]; 2]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_raw(2, 1, pixels.concat())
        .unwrap()
        .save(path)
        .unwrap();
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn images_are_channels_first_and_classes_are_labels() {
    let dir = tempfile::tempdir().unwrap();
    png(&dir.path().join("dog/1.png"), [[1, 2, 3], [4, 5, 6]]);
    png(&dir.path().join("cat/1.png"), [[7, 8, 9], [10, 11, 12]]);
    std::fs::write(dir.path().join(".DS_Store"), b"junk").unwrap();
    std::fs::write(dir.path().join("cat/thumbs.DB"), b"junk").unwrap();
    std::fs::create_dir(dir.path().join("@eaDir")).unwrap();
    let counted = counted(dir.path(), dir.path()).unwrap();
    assert_eq!((counted.samples, counted.classes), (2, 2));
    let mut folder = Folder::open(
        dir.path(),
        &[3, 1, 2],
        &strings(&["dog", "cat", "owl"]),
        None,
    )
    .unwrap();
    assert_eq!(
        folder.read(&DataField::Y, &[0, 1]).unwrap().data(),
        &TensorData::I64(vec![1, 0]),
        "cat first by name, labels by the task"
    );
    assert_eq!(
        folder.read(&DataField::X, &[1]).unwrap().data(),
        &TensorData::F32(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
    );
    let mut sorted = Folder::open(dir.path(), &[3, 1, 2], &[], None).unwrap();
    assert_eq!(
        sorted.read(&DataField::Y, &[0, 1]).unwrap().data(),
        &TensorData::I64(vec![0, 1])
    );
    let wrong = Folder::open(dir.path(), &[3, 1, 2], &strings(&["cat"]), None)
        .err()
        .unwrap()
        .message;
    assert!(wrong.contains("\"dog\""), "{wrong}");
}

#[test]
fn another_size_is_an_error_that_says_both() {
    let dir = tempfile::tempdir().unwrap();
    png(&dir.path().join("a.png"), [[0; 3]; 2]);
    let read = |shape: &[usize]| {
        Folder::open(dir.path(), shape, &[], None)
            .unwrap()
            .read(&DataField::X, &[0])
    };
    assert!(read(&[3, 1, 2]).is_ok());
    assert!(
        read(&[3, 8, 8])
            .unwrap_err()
            .message
            .contains("2 by 1 pixels, the task expects 8 by 8")
    );
    assert!(
        read(&[1, 1, 1]).is_err(),
        "larger than expected: rejected before it is decoded"
    );
}

#[test]
fn train_and_val_are_parts_of_one_dataset() {
    let dir = tempfile::tempdir().unwrap();
    png(&dir.path().join("train/a/1.png"), [[1; 3]; 2]);
    png(&dir.path().join("train/b/2.png"), [[2; 3]; 2]);
    png(&dir.path().join("val/b/3.png"), [[3; 3]; 2]);
    let classes = strings(&["a", "b"]);
    let len = |part| {
        Folder::open(dir.path(), &[1, 1, 2], &classes, part)
            .unwrap()
            .len()
    };
    assert_eq!(
        (len(Some(Part::Train)), len(Some(Part::Val)), len(None)),
        (2, 1, 3)
    );
    let mut val = Folder::open(dir.path(), &[1, 1, 2], &classes, Some(Part::Val)).unwrap();
    assert_eq!(
        val.read(&DataField::Y, &[0]).unwrap().data(),
        &TensorData::I64(vec![1]),
        "the task's label, not the part's"
    );
}

#[cfg(unix)]
#[test]
fn links_out_of_the_dataset_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    png(&dir.path().join("set/a.png"), [[0; 3]; 2]);
    std::os::unix::fs::symlink("a.png", dir.path().join("set/b.png")).unwrap();
    assert_eq!(
        Folder::open(&dir.path().join("set"), &[1, 1, 2], &[], None)
            .unwrap()
            .len(),
        2,
        "links inside are fine"
    );
    std::os::unix::fs::symlink(outside.path(), dir.path().join("set/c.png")).unwrap();
    assert!(
        Folder::open(&dir.path().join("set"), &[1, 1, 2], &[], None)
            .err()
            .unwrap()
            .message
            .contains("leads out")
    );
}

#[test]
fn what_is_no_data_is_left_out_and_told() {
    let dir = tempfile::tempdir().unwrap();
    png(&dir.path().join("cat/1.png"), [[1; 3]; 2]);
    png(&dir.path().join("dog/2.png"), [[2; 3]; 2]);
    for name in ["README", "labels.csv", "cat/notes.TXT"] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let found = counted(dir.path(), dir.path()).unwrap();
    assert_eq!((found.samples, found.classes), (2, 2));
    assert_eq!(found.left_out, ["README", "labels.csv", "notes.TXT"]);
    let classes = strings(&["cat", "dog"]);
    let mut folder = Folder::open(dir.path(), &[3, 1, 2], &classes, None).unwrap();
    folder.inspect(Depth::Whole).unwrap();
    assert_eq!(folder.len(), 2);
    std::fs::write(dir.path().join("dog/weights.bin"), "x").unwrap();
    let mut folder = Folder::open(dir.path(), &[3, 1, 2], &classes, None).unwrap();
    let message = folder.inspect(Depth::Whole).unwrap_err().message;
    assert!(
        message.contains("dog/weights.bin: it is no sample"),
        "{message}"
    );
    std::fs::rename(
        dir.path().join("dog/weights.bin"),
        dir.path().join("weights.bin"),
    )
    .unwrap();
    let mixed = Folder::open(dir.path(), &[3, 1, 2], &classes, None);
    let message = mixed.err().unwrap().message;
    assert!(message.contains("weights.bin"), "{message}");
}

#[test]
fn a_split_has_other_things_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train/a/1.png", "val/a/2.png", "test/a/3.png", "cover.png"] {
        png(&dir.path().join(name), [[1; 3]; 2]);
    }
    std::fs::write(dir.path().join("README.md"), "x").unwrap();
    let beside = root_split(dir.path()).unwrap().unwrap();
    assert_eq!(beside, ["README.md", "cover.png", "test"]);
    let len = |classes: &[&str], part| {
        let folder = Folder::open(dir.path(), &[3, 1, 2], &strings(classes), part);
        folder.map(|f| f.len()).map_err(|f| f.message)
    };
    assert_eq!(len(&["a"], None), Ok(2));
    assert_eq!(len(&["a"], Some(Part::Train)), Ok(1));
    // Where classes are called so, they are classes.
    assert!(len(&["train", "val", "test"], Some(Part::Val)).is_err());
    std::fs::remove_file(dir.path().join("cover.png")).unwrap();
    let message = len(&["train", "val", "test"], None).unwrap_err();
    assert!(
        message.contains("is a folder inside a class folder"),
        "{message}"
    );
}

#[test]
fn all_samples_are_looked_at_before_a_task_runs() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..20 {
        png(&dir.path().join(format!("{n:02}.png")), [[n; 3]; 2]);
    }
    let inspect = |depth| {
        let mut folder = Folder::open(dir.path(), &[3, 1, 2], &[], None).unwrap();
        folder.inspect(depth).map_err(|f| f.message)
    };
    assert_eq!(inspect(Depth::Whole), Ok(()));
    let path = dir.path().join("17.png");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let message = inspect(Depth::Whole).unwrap_err();
    assert!(message.contains("17.png: it ends too early"), "{message}");
    assert_eq!(
        inspect(Depth::Names),
        Ok(()),
        "under noise no record decides"
    );
    let wide: image::ImageBuffer<image::Rgb<u16>, Vec<u16>> = image::ImageBuffer::new(2, 1);
    wide.save(&path).unwrap();
    let message = inspect(Depth::Whole).unwrap_err();
    assert!(
        message.contains("00.png are 0 to 255") && message.contains("17.png 0 to 65535"),
        "{message}"
    );
}
