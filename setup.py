"""Packaging of kipoi_motifrep; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "kipoi_motifrep/__init__.py").read_text()).group(1)

NEEDS = [
    "kipoi>=0.8.6,<0.9",  # the plugin contract was read off 0.8.6
    "setuptools<82",  # kipoi's command line imports pkg_resources and does not declare it
    "numpy>=1.26,<2",  # kipoi's HDF5 writer uses np.string_, gone in numpy 2
    "pandas<3",  # kipoi is untested with pandas 3
    "pyarrow<22",  # the newest that works with this numpy and pandas, for kipoi predict -o x.parquet
    "tensorflow>=2.21,<2.22",  # the version that the shipped networks were trained and tested with
    "keras>=3.12,<4",  # opens the shipped .keras files
    "tf_keras>=2.21,<2.22",  # opens files of Keras 1 and 2; its versions are those of TensorFlow
    "h5py",
    "pyyaml",
    "pybedtools",  # features of GFF and GTF
    "pysam",  # FASTA indices, plain and bgzip
    "pyjaspar>=4,<5",  # JASPAR releases 2014 to 2026
    "scikit-learn",  # AUROC and AUPR
    "numba>=0.59",  # compiles Tomtom's loops; the first with wheels for numpy 1.26 and Python 3.12
    "jinja2",
    "tqdm",
    "dask[distributed]",  # processes of this machine and of clusters; small beside TensorFlow
]
EXTRAS = {
    "plot": ["matplotlib"],
    "pytorch": ["torch==2.13.0"],
    "onnx": ["onnx>=1.16", "onnxruntime"],
    "distributed": [],  # a name from before it was always there
    "scan": ["pyBigWig", "zarr>=3"],  # formats of scan; Parquet is always there
    "benchmarks": ["memelite", "kipoiseq", "tangermeme", "lightmotif", "logomaker"],  # what it is measured beside
    "docs": ["mkdocs>=1.6,<2", "mkdocstrings[python]"],
    "test": [
        "pytest",
        "pytest-xdist",
        "hypothesis",
        "ruff",
        "matplotlib",
        "kipoiseq",
        "torch==2.13.0",
        "onnx>=1.16",
        "onnxruntime",
        "nbclient",
        "nbformat",
        "ipykernel",
        "pyBigWig",
        "zarr>=3",
        "mypy",
        "import-linter",
        "biopython",
    ],  # biopython: another reader of motif files, to compare with
}


def here(needs):
    """Name requirements for Pythons that serve: on others pip says at once which one is needed, and builds nothing."""
    return [f"{need}; python_version >= '3.11' and python_version < '3.13'" for need in needs]


setup(
    name="kipoi_motifrep",
    version=VERSION,
    description="What did the first layer of a genomic CNN learn? Filters as PWMs, with exact Tomtom statistics.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="kipoi_motifrep authors",
    url="https://github.com/kipoi/kipoi_motifrep",
    project_urls={
        "Documentation": "https://github.com/kipoi/kipoi_motifrep/tree/main/docs",
        "Changes": "https://github.com/kipoi/kipoi_motifrep/blob/main/docs/changelog.md",
        "Paper": "https://doi.org/10.1371/journal.pcbi.1007560",
    },
    license="MIT",
    packages=find_packages(include=["kipoi_motifrep", "kipoi_motifrep.*"]),
    package_data={
        "kipoi_motifrep": [
            "py.typed",
            "sequences/descriptions/*.yaml",
            "sequences/examples/*.*",
            "report/templates/*",
            "representation/truth/*.tsv",
            "zoo/trained/*",
        ]
    },
    exclude_package_data={"kipoi_motifrep": ["sequences/examples/*.fai"]},
    python_requires=">=3.11,<3.13",  # kipoi uses pkgutil.find_loader, deprecated in 3.12 and gone in 3.14
    install_requires=here(NEEDS),
    extras_require={name: here(needs) for name, needs in EXTRAS.items()},
    entry_points={"console_scripts": ["kipoi-motifrep=kipoi_motifrep.cli.program:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
        "Typing :: Typed",
    ],
)
