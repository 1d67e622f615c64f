"""A genome and a small DeepSEA bundle, which several files' tests read."""

import tarfile

import pytest
import scipy.io
from support.dataset_files import GENOME, write_fasta
from support.deepsea_bundle import PARTS, write_matlab73


@pytest.fixture
def genome(tmp_path):
    return write_fasta(tmp_path / "genome.fa", GENOME)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "deepsea_train"
    folder.mkdir()
    for split, (_, one_hot, labels) in PARTS.items():
        variables = {f"{split}xdata": one_hot, f"{split}data": labels}
        if split == "train":
            write_matlab73(folder / "train.mat", variables, chunks=True, compression="gzip")
        else:
            scipy.io.savemat(folder / f"{split}.mat", variables, do_compression=split == "valid")
    return folder


@pytest.fixture(scope="module")
def archive(bundle):
    path = bundle.parent / "bundle.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.add(bundle, "deepsea_train")
    return path
