"""Shipped networks, interpreted once for all files of these tests."""

import pytest

from kipoi_motifrep.cli.program import main

EXAMPLES = "kipoi_motifrep/sequences/examples/synthetic.h5"


@pytest.fixture(scope="session")
def shipped(tmp_path_factory, checkout):
    """Folders of cnn_25 and cnn_2, interpreted on the example data."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout)
        for name in ("cnn_25", "cnn_2"):
            assert (
                main(
                    [
                        "interpret",
                        f"models/synthetic/{name}",
                        "--dataset",
                        EXAMPLES,
                        "--truth",
                        "synthetic",
                        "--database",
                        "JASPAR2016",
                        "-o",
                        str(folder / name),
                    ]
                )
                == 0
            )
    return folder
