from __future__ import annotations

import zlib

import torch

from nplight.seeds import checksums, hashed_generator, seeded_generator


def drawn(seed: int, number: int) -> list[int]:
    return torch.randint(1 << 30, (4,), generator=seeded_generator(seed, number)).tolist()


def test_a_generator_depends_on_seed_and_number_alone() -> None:
    before = drawn(0, 7)
    torch.manual_seed(1)
    assert drawn(0, 7) == before
    draws = [drawn(seed, number) for seed in range(3) for number in range(-3, 3)]
    assert len(set(map(tuple, draws))) == len(draws)


def test_checksums_are_of_each_image_whatever_its_batch_and_layout() -> None:
    images = torch.rand(3, 2, 4, 4)
    assert checksums(images) == [zlib.crc32(image.numpy().tobytes()) for image in images]
    assert checksums(images[1:2]) == checksums(images)[1:2]
    assert checksums(images.to(memory_format=torch.channels_last)) == checksums(images)
    assert checksums(images.double()) == checksums(images)
    assert checksums(images + 1) != checksums(images)


def test_hashed_generators_tell_all_numbers_apart() -> None:
    numbers = [(0, 1_000_003), (1, 0), (0, 1, 0), (0, 1), (1, 1), (-1, 1), (0, 1 << 40)]
    draws = [tuple(torch.randint(1 << 30, (4,), generator=hashed_generator(*one)).tolist()) for one in numbers]
    assert len(set(draws)) == len(draws)
    assert draws[0] == tuple(torch.randint(1 << 30, (4,), generator=hashed_generator(0, 1_000_003)).tolist())
