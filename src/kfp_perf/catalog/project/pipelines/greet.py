"""The pipeline under test. After a change, compile it again: python pipelines/greet.py (needs pip install kfp)."""

from pathlib import Path

from kfp import compiler, dsl


@dsl.container_component
def say(text: str):
    """Print a text."""
    return dsl.ContainerSpec(image="busybox:1.36", command=["echo"], args=[text])


@dsl.pipeline(name="greet", description="Two steps, one after the other")
def greet(name: str = "world"):
    """Say hello, then the name."""
    hello = say(text="hello")
    say(text=name).after(hello)


if __name__ == "__main__":
    compiler.Compiler().compile(greet, str(Path(__file__).with_suffix(".yaml")))
