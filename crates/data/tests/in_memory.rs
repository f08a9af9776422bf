//! Arrays as datasets, and views of them.

use std::sync::Arc;

use binary_nets_data::{DataError, Dataset, ImageShape, InMemory, Subset};

const SHAPE: ImageShape = ImageShape { height: 1, width: 2, channels: 1 };

fn dataset(images: Vec<u8>, labels: Vec<u32>) -> Result<InMemory, DataError> {
    InMemory::new(SHAPE, images, labels, vec!["a".into(), "b".into()])
}

#[test]
fn reads_what_it_was_given() {
    let dataset = dataset(vec![1, 2, 3, 4], vec![1, 0]).unwrap();
    let mut image = [0; 2];
    dataset.read(1, &mut image).unwrap();
    assert_eq!((image, dataset.labels()), ([3, 4], vec![1, 0]));
    assert!(matches!(dataset.read(2, &mut image), Err(DataError::IndexOutOfRange { index: 2, len: 2 })));
    assert!(matches!(dataset.read(0, &mut [0; 3]), Err(DataError::Length { expected: 2, got: 3, .. })));
}

#[test]
fn arrays_that_do_not_fit_are_errors() {
    assert!(matches!(dataset(vec![0; 5], vec![0, 0]), Err(DataError::Length { expected: 4, got: 5, .. })));
    assert!(matches!(dataset(vec![], vec![]), Err(DataError::Empty { .. })));
    let label = dataset(vec![0; 4], vec![0, 2]);
    assert!(matches!(label, Err(DataError::LabelOutOfRange { index: 1, label: 2, classes: 2 })));
    for size in [0, usize::MAX] {
        let shape = ImageShape { height: size, width: 2, channels: 1 };
        let error = InMemory::new(shape, vec![], vec![0], vec!["a".into()]).unwrap_err();
        assert!(matches!(error, DataError::InvalidOption { option: "shape", .. }), "{error}");
    }
}

#[test]
fn targets_are_read_by_sample_and_through_subsets() {
    let plain = dataset(vec![0; 6], vec![0, 1, 0]).unwrap();
    assert_eq!(plain.targets(), 0);
    let targets = vec![0.5, -1.0, 2.5, 3.0, -4.5, 5.0];
    let dataset: Arc<dyn Dataset> = Arc::new(plain.clone().with_targets(targets.clone()).unwrap());
    let read = |dataset: &dyn Dataset, index| {
        let mut target = vec![0.0; dataset.targets()];
        dataset.read_target(index, &mut target);
        target
    };
    for index in 0..3 {
        assert_eq!(read(&*dataset, index), targets[index * 2..][..2]);
    }
    let subset = Subset::new(dataset, vec![2, 0, 2]).unwrap();
    assert_eq!(subset.targets(), 2);
    assert_eq!([0, 1, 2].map(|index| read(&subset, index)[0]), [-4.5, 0.5, -4.5]);

    for wrong in [vec![], vec![0.0; 2], vec![0.0; 4]] {
        let error = plain.clone().with_targets(wrong).unwrap_err();
        assert!(matches!(error, DataError::InvalidOption { option: "targets", .. }), "{error}");
    }
    let error = plain.with_targets(vec![0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0]).unwrap_err();
    assert!(matches!(error, DataError::TargetNotFinite { index: 1, target } if target.is_nan()), "{error}");
}

#[test]
fn subsets_select_and_reorder() {
    let whole: Arc<dyn Dataset> = Arc::new(dataset((0..10).collect(), vec![0, 1, 1, 0, 1]).unwrap());
    let content = |subset: Subset| -> Vec<(u8, u32)> {
        let mut image = [0; 2];
        let read = |index| {
            subset.read(index, &mut image).unwrap();
            (image[0], subset.label(index))
        };
        (0..subset.len()).map(read).collect()
    };
    assert_eq!(content(Subset::first(whole.clone(), 2).unwrap()), [(0, 0), (2, 1)]);
    assert_eq!(content(Subset::range(whole.clone(), 3..5).unwrap()), [(6, 0), (8, 1)]);
    let listed = Subset::new(whole.clone(), vec![4, 0, 4]).unwrap();
    assert_eq!((listed.shape(), listed.classes()), (SHAPE, whole.classes()));
    assert!(matches!(listed.read(3, &mut [0; 2]), Err(DataError::IndexOutOfRange { index: 3, len: 3 })));
    assert_eq!(content(Subset::range(Arc::new(listed), 1..3).unwrap()), [(0, 0), (8, 1)]);

    assert!(matches!(Subset::first(whole.clone(), 6), Err(DataError::IndexOutOfRange { index: 5, len: 5 })));
    assert!(matches!(Subset::new(whole.clone(), vec![5]), Err(DataError::IndexOutOfRange { index: 5, len: 5 })));
    assert!(matches!(Subset::first(whole, 0), Err(DataError::Empty { .. })));
}
