//! Image files in one folder per class.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{DataError, ImageFiles, ImageOptions};

/// The images `root/<class>/*.png|jpg|jpeg`. The sub-folders' names, sorted, are the classes; the files of each class
/// are sorted by name. Names that start with a dot and deeper folders are passed over.
///
/// `classes` fixes the classes instead, so that a test set has the labels of its training set: each sub-folder must be
/// one of them, and a class may lack a folder.
///
/// Fails when a folder cannot be listed, there are no sub-folders or one has no images, a sub-folder is not in `classes`, an option is invalid,
/// or, where no size is given, the first image is broken.
pub fn open(root: &Path, classes: Option<&[String]>, options: ImageOptions) -> Result<ImageFiles, DataError> {
    let folders: Vec<PathBuf> = entries(root)?.into_iter().filter(|path| path.is_dir()).collect();
    let names: Vec<String> = folders.iter().map(|folder| name(folder)).collect();
    let classes = classes.unwrap_or(&names);
    let expected = |got: String| DataError::ClassFolders { root: root.to_owned(), got };
    if folders.is_empty() {
        return Err(expected("and there is no folder in it".to_owned()));
    }
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (folder, name) in folders.iter().zip(&names) {
        let Some(label) = classes.iter().position(|class| class == name) else {
            return Err(DataError::option("classes", "a class for every folder", &format!("none named {name}")));
        };
        let images = image_files(folder)?;
        if images.is_empty() {
            return Err(expected(format!("and {name}/ holds no image")));
        }
        labels.extend(images.iter().map(|_| label as u32));
        files.extend(images);
    }
    ImageFiles::new(root, files, labels, classes.to_vec(), options)
}

/// The PNG and JPEG files in a folder, by their extensions, sorted by name.
pub(crate) fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_image = |path: &PathBuf| {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg")) && !path.is_dir()
    };
    Ok(entries(folder)?.into_iter().filter(is_image).collect())
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a folder holds, sorted by name, without what is hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listing = fs::read_dir(folder).map_err(DataError::io(folder))?;
    let mut paths = Vec::new();
    for entry in listing {
        paths.push(entry.map_err(DataError::io(folder))?.path());
    }
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}
