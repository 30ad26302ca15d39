"""The steps that the built-in pipelines are made of."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

IMAGE = "busybox:1.36"


@dsl.container_component
def echo(message: str):
    """Print a message."""
    return dsl.ContainerSpec(image=IMAGE, command=["echo"], args=[message])


@dsl.container_component
def choose(side: str, chosen: dsl.OutputPath(str)):  # type: ignore[valid-type]  # kfp's way
    """Return a parameter as an output, so that a condition depends on a task."""
    script = 'mkdir -p "$(dirname "$1")" && printf "%s" "$0" > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[side, chosen])


@dsl.container_component
def compute(iterations: int):
    """Keep one core busy with hashing."""
    one = "head -c 1048576 /dev/zero | sha256sum > /dev/null"
    script = f'n=0; while [ "$n" -lt "$0" ]; do {one}; n=$((n + 1)); done'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[iterations])


@dsl.container_component
def write_data(megabytes: int, data: dsl.Output[dsl.Dataset]):
    """Write an artifact of random bytes."""
    script = 'mkdir -p "$(dirname "$1")" && head -c "$(($0 * 1048576))" /dev/urandom > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[megabytes, data.path])


@dsl.container_component
def copy_data(data: dsl.Input[dsl.Dataset], copied: dsl.Output[dsl.Dataset]):
    """Read an artifact and write it again."""
    script = 'mkdir -p "$(dirname "$1")" && cat "$0" > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[data.path, copied.path])


@dsl.container_component
def check_data(data: dsl.Input[dsl.Dataset], megabytes: int):
    """Read an artifact and fail unless it has its size."""
    script = '[ "$(wc -c < "$0")" -eq "$(($1 * 1048576))" ]'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[data.path, megabytes])


@dsl.container_component
def flaky(failure_percent: int):
    """Fail at random, in so many of a hundred attempts."""
    script = '[ "$(($(od -An -N2 -tu2 /dev/urandom) % 100))" -ge "$0" ]'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[failure_percent])


@dsl.container_component
def pause(seconds: int):
    """Wait."""
    return dsl.ContainerSpec(image=IMAGE, command=["sleep"], args=[seconds])


@dsl.container_component
def add(a: int, b: int, total: dsl.OutputPath(int)):  # type: ignore[valid-type]  # kfp's way
    """Add two whole numbers."""
    script = 'mkdir -p "$(dirname "$2")" && printf "%s" "$(($0 + $1))" > "$2"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[a, b, total])


@dsl.container_component
def write_rows(rows: int, data: dsl.Output[dsl.Dataset]):
    """Write a dataset of numbered rows, about 40 bytes each."""
    script = 'mkdir -p "$(dirname "$1")" && seq 1 "$0" | awk \'{printf "%d,%032d\\n", $1, $1}\' > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[rows, data.path])


@dsl.container_component
def take_shard(data: dsl.Input[dsl.Dataset], shard: int, shards: int, part: dsl.Output[dsl.Dataset]):
    """Write each row whose number belongs to the shard."""
    script = 'mkdir -p "$(dirname "$3")" && awk -F, -v n="$1" -v of="$2" \'$1 % of == n\' "$0" > "$3"'
    return dsl.ContainerSpec(
        image=IMAGE, command=["sh", "-ec", script], args=[data.path, shard, shards, part.path]
    )


@dsl.container_component
def check_rows(data: dsl.Input[dsl.Dataset], rows: int):
    """Read a dataset and fail unless it has about so many rows."""
    script = 'n="$(wc -l < "$0")" && [ "$n" -ge "$(($1 - 1))" ] && [ "$n" -le "$(($1 + 1))" ]'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[data.path, rows])
