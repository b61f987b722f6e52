"""The image cache gives out only what was seen to match its checksum."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from migrator.compute.image_cache import ImageCache, available
from migrator.compute.storage.base_images import fetched
from migrator.errors import ImageUnavailable, ServerUnreachable
from migrator.protocol import ImageRef

CONTENT = b"kernel" * 1000
IMAGE = ImageRef(
    id="3f0c7f5e-0000-4000-8000-000000000001",
    size_bytes=len(CONTENT),
    checksum_sha256=hashlib.sha256(CONTENT).hexdigest(),
    disk_format="aki",
)


class Source:
    def __init__(self) -> None:
        self.content = CONTENT
        self.fetched = 0
        self.breaks = False

    @contextmanager
    def fetch(self, image_id: str) -> Iterator[Iterator[bytes]]:
        assert image_id == IMAGE.id
        self.fetched += 1
        yield self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        yield self.content[:100]
        if self.breaks:
            raise ServerUnreachable("the connection broke")
        yield self.content[100:]


def test_fetches_once(tmp_path: Path) -> None:
    source = Source()
    cache = ImageCache(tmp_path, source.fetch)
    first = cache.ensure([IMAGE])
    assert first[IMAGE.id].read_bytes() == CONTENT
    assert cache.ensure([IMAGE]) == first
    assert ImageCache(tmp_path, source.fetch).ensure([IMAGE]) == first
    assert source.fetched == 1


def test_other_content_is_refused_and_not_kept(tmp_path: Path) -> None:
    source = Source()
    source.content = b"something else" * 100
    cache = ImageCache(tmp_path, source.fetch)
    with pytest.raises(ImageUnavailable, match="checksum"):
        cache.ensure([IMAGE])
    assert list(tmp_path.iterdir()) == []
    source.content = CONTENT
    assert cache.ensure([IMAGE])[IMAGE.id].read_bytes() == CONTENT


def test_half_an_image_is_never_given_out(tmp_path: Path) -> None:
    source = Source()
    source.breaks = True
    cache = ImageCache(tmp_path, source.fetch)
    with pytest.raises(ServerUnreachable):
        cache.ensure([IMAGE])
    source.breaks = False
    assert cache.ensure([IMAGE])[IMAGE.id].read_bytes() == CONTENT
    assert source.fetched == 2


def lost(image_id: str) -> NoReturn:
    raise ImageUnavailable(f"image {image_id}: the server answered 404")


def test_what_the_catalogue_lost_comes_from_elsewhere_with_the_right_checksum_or_not_at_all(tmp_path: Path) -> None:
    elsewhere = Source()
    elsewhere.content = b"damaged" * 100
    cache = ImageCache(tmp_path, lost)
    with pytest.raises(ImageUnavailable, match="404"):
        cache.ensure([IMAGE])
    with pytest.raises(ImageUnavailable, match="checksum"):
        cache.ensure([IMAGE], elsewhere.fetch)
    assert list(tmp_path.iterdir()) == []
    elsewhere.content = CONTENT
    assert cache.ensure([IMAGE], elsewhere.fetch)[IMAGE.id].read_bytes() == CONTENT
    assert cache.ensure([IMAGE])[IMAGE.id].read_bytes() == CONTENT


def test_a_catalogue_that_has_it_is_asked_and_nobody_else(tmp_path: Path) -> None:
    catalogue, elsewhere = Source(), Source()
    ImageCache(tmp_path, catalogue.fetch).ensure([IMAGE], elsewhere.fetch)
    assert (catalogue.fetched, elsewhere.fetched) == (1, 0)


def test_a_catalogue_with_another_content_under_the_id_has_it_not(tmp_path: Path) -> None:
    catalogue, elsewhere = Source(), Source()
    catalogue.content = b"made anew" * 100
    cache = ImageCache(tmp_path, catalogue.fetch)
    assert cache.ensure([IMAGE], elsewhere.fetch)[IMAGE.id].read_bytes() == CONTENT


def test_of_images_that_nobody_has_nothing_is_said_until_one_is_needed(tmp_path: Path) -> None:
    assert available(ImageCache(tmp_path, lost), [IMAGE]) == {}
    with pytest.raises(ImageUnavailable, match=IMAGE.id):
        fetched(IMAGE.id, {})
