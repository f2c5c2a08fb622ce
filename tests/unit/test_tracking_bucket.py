"""What an S3 server answers to MLflow's own client, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from services.errors import NotFound, Rejected, Unavailable
from services.tracking.door import Door


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(f"sqlite:///{tmp_path / 'mlflow.db'}")


def answered(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def test_a_refusal_names_the_model_and_the_credentials_to_check(door: Door) -> None:
    with (
        pytest.raises(Rejected, match="artifact bucket answered 403: AccessDenied for model s3://b/m") as caught,
        door.asking("model", "s3://b/m"),
    ):
        raise answered(403, "AccessDenied")
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.hint


def test_what_is_not_there_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound, match="There is no model “s3://b/m”"), door.asking("model", "s3://b/m"):
        raise answered(404, "NoSuchKey")


def test_credentials_that_nobody_gave_are_asked_for(door: Door) -> None:
    with pytest.raises(Unavailable, match="Unable to locate credentials") as caught, door.asking("model", "s3://b/m"):
        raise NoCredentialsError
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
