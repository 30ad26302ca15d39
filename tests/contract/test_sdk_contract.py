"""The real kfp SDK, each of its methods that talk v2beta1, and its command line."""

import json
from typing import Any

import pytest

pytestmark = [
    pytest.mark.contract,
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:HTTPResponse.getheader:DeprecationWarning"),  # older SDKs on urllib3 1
]

kfp = pytest.importorskip("kfp")

ARGUMENTS = {"word": "hi"}
POLL_SECONDS = 0.1


@pytest.fixture(scope="module")
def client(url: Any, tmp_path_factory: Any) -> Any:
    context = pytest.MonkeyPatch()
    context.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # the SDK keeps a context file there
    yield kfp.Client(host=url)
    context.undo()


@pytest.fixture
def package(spec: Any, tmp_path: Any) -> Any:
    path = tmp_path / "contract.yaml"
    path.write_text(json.dumps(spec))
    return str(path)


@pytest.fixture(scope="module")
def function() -> Any:
    @kfp.dsl.container_component  # type: ignore[untyped-decorator]
    def say(word: str):  # type: ignore[no-untyped-def]
        return kfp.dsl.ContainerSpec(image="python:3.11-alpine", command=["echo", word])

    @kfp.dsl.pipeline(name="contract-function")  # type: ignore[untyped-decorator]
    def contract_function(word: str = "hi"):  # type: ignore[no-untyped-def]
        say(word=word)

    return contract_function


def test_healthz(client: Any) -> None:
    assert client.get_kfp_healthz().multi_user in {True, False}


def test_experiments(client: Any, name: Any) -> None:
    made = client.create_experiment(name, description="d")
    assert client.create_experiment(name).experiment_id == made.experiment_id  # list, then create
    assert client.get_experiment(experiment_name=name).experiment_id == made.experiment_id
    assert client.get_experiment(experiment_id=made.experiment_id).display_name == name
    named = json.dumps({"predicates": [{"operation": 1, "key": "display_name", "stringValue": name}]})
    assert [each.display_name for each in client.list_experiments(filter=named).experiments] == [name]
    client.archive_experiment(made.experiment_id)
    assert client.get_experiment(experiment_id=made.experiment_id).storage_state == "ARCHIVED"
    client.unarchive_experiment(made.experiment_id)
    client.delete_experiment(made.experiment_id)
    with pytest.raises(ValueError, match="No experiment is found"):
        client.get_experiment(experiment_name=name)


def test_pipelines(client: Any, name: Any, package: Any) -> None:
    made = client.upload_pipeline(package, pipeline_name=name, description="d")
    assert client.get_pipeline_id(name) == made.pipeline_id
    assert client.get_pipeline(made.pipeline_id).display_name == name
    assert made.pipeline_id in {each.pipeline_id for each in client.list_pipelines(page_size=200).pipelines}
    version = client.upload_pipeline_version(package, f"{name}-2", pipeline_id=made.pipeline_id)
    found = client.get_pipeline_version(made.pipeline_id, version.pipeline_version_id)
    assert found.pipeline_spec["pipelineInfo"]["name"] == "contract"
    assert client.list_pipeline_versions(made.pipeline_id).total_size == 2
    _delete_pipeline(client, made.pipeline_id)
    assert client.get_pipeline_id(name) is None


@pytest.mark.skipif(
    not hasattr(kfp.Client, "upload_pipeline_from_pipeline_func"), reason="this SDK is too old for it"
)
def test_pipelines_from_functions(client: Any, name: Any, function: Any) -> None:
    made = client.upload_pipeline_from_pipeline_func(function, pipeline_name=name)
    client.upload_pipeline_version_from_pipeline_func(function, f"{name}-2", pipeline_id=made.pipeline_id)
    assert client.list_pipeline_versions(made.pipeline_id).total_size == 2
    _delete_pipeline(client, made.pipeline_id)


def _delete_pipeline(client: Any, pipeline_id: str) -> None:
    for each in client.list_pipeline_versions(pipeline_id).pipeline_versions:
        client.delete_pipeline_version(pipeline_id, each.pipeline_version_id)
    client.delete_pipeline(pipeline_id)


def test_runs(client: Any, name: Any, package: Any, function: Any, pipeline: Any, experiment: Any) -> None:
    versions = client.list_pipeline_versions(pipeline["pipeline_id"]).pipeline_versions
    first = client.run_pipeline(
        experiment,
        f"{name}-1",
        pipeline_id=pipeline["pipeline_id"],
        version_id=versions[0].pipeline_version_id,
        params=ARGUMENTS,
    )
    second = client.run_pipeline(experiment, f"{name}-2", pipeline_package_path=package, params=ARGUMENTS)
    third = client.create_run_from_pipeline_package(
        package, arguments=ARGUMENTS, run_name=f"{name}-3", experiment_id=experiment, enable_caching=False
    )
    fourth = client.create_run_from_pipeline_func(
        function, arguments=ARGUMENTS, run_name=f"{name}-4", experiment_id=experiment
    )
    ids = [first.run_id, second.run_id, third.run_id, fourth.run_id]
    listed = client.list_runs(experiment_id=experiment, page_size=10, sort_by="created_at desc")
    assert {run.run_id for run in listed.runs} == set(ids)
    for run_id in ids:
        ended = client.wait_for_run_completion(run_id, timeout=600, sleep_duration=POLL_SECONDS)
        assert ended.state == "SUCCEEDED"
        assert {task.display_name for task in ended.run_details.task_details} >= {"root", "root-driver"}
    client.archive_run(ids[0])
    assert client.get_run(ids[0]).storage_state == "ARCHIVED"
    client.unarchive_run(ids[0])
    for run_id in ids:
        client.delete_run(run_id)
    assert not client.list_runs(experiment_id=experiment).runs


def test_terminate(client: Any, name: Any, spec: Any, experiment: Any, tmp_path: Any) -> None:
    spec["deploymentSpec"]["executors"]["exec-say"]["container"]["command"] = ["sleep", "3600"]
    path = tmp_path / "long.yaml"
    path.write_text(json.dumps(spec))
    run = client.run_pipeline(experiment, name, pipeline_package_path=str(path), params=ARGUMENTS)
    client.terminate_run(run.run_id)
    ended = client.wait_for_run_completion(run.run_id, timeout=600, sleep_duration=POLL_SECONDS)
    assert ended.state == "FAILED"
    client.delete_run(run.run_id)


def test_recurring_runs(client: Any, name: Any, package: Any, pipeline: Any, experiment: Any) -> None:
    made = client.create_recurring_run(
        experiment,
        name,
        cron_expression="0 0 3 * * *",
        max_concurrency=2,
        no_catchup=True,
        pipeline_id=pipeline["pipeline_id"],
        version_id=client.list_pipeline_versions(pipeline["pipeline_id"])
        .pipeline_versions[0]
        .pipeline_version_id,
        params=ARGUMENTS,
    )
    found = client.get_recurring_run(made.recurring_run_id)
    assert found.trigger.cron_schedule.cron == "0 0 3 * * *"
    assert found.status == "ENABLED"
    client.disable_recurring_run(made.recurring_run_id)
    assert client.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    client.enable_recurring_run(made.recurring_run_id)
    with pytest.warns(DeprecationWarning, match="disable_job"):  # the older names of the same
        client.disable_job(made.recurring_run_id)
    assert client.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    with pytest.warns(DeprecationWarning, match="enable_job"):
        client.enable_job(made.recurring_run_id)
    assert client.get_recurring_run(made.recurring_run_id).status == "ENABLED"
    listed = client.list_recurring_runs(experiment_id=experiment)
    assert [each.recurring_run_id for each in listed.recurring_runs] == [made.recurring_run_id]
    client.delete_recurring_run(made.recurring_run_id)
    assert not client.list_recurring_runs(experiment_id=experiment).recurring_runs
    periodic = client.create_recurring_run(
        experiment,
        name,
        interval_second=3600,
        max_concurrency=1,
        enabled=False,
        pipeline_package_path=package,
        params=ARGUMENTS,
    )
    assert (
        client.get_recurring_run(periodic.recurring_run_id).trigger.periodic_schedule.interval_second
        == "3600"
    )
    with pytest.warns(DeprecationWarning, match="delete_job"):
        client.delete_job(periodic.recurring_run_id)
    assert not client.list_recurring_runs(experiment_id=experiment).recurring_runs


def test_the_namespace_of_the_user(client: Any) -> None:
    """The SDK keeps it on this side, and sends it with every list of experiments."""
    before = client.get_user_namespace()
    client.set_user_namespace("team-a")
    assert client.get_user_namespace() == "team-a"
    client.set_user_namespace(before)


def test_faults_are_api_exceptions(client: Any) -> None:
    from kfp_server_api import ApiException

    with pytest.raises(ApiException) as caught:
        client.get_run("none")
    assert caught.value.status == 404
    assert "Run none not found" in caught.value.body


def test_command_line(
    url: Any, name: Any, package: Any, experiment: Any, monkeypatch: Any, tmp_path: Any
) -> None:
    """`kfp run`, `kfp pipeline`, `kfp experiment` and `kfp recurring-run`, as a user types them."""
    from click.testing import CliRunner
    from kfp.cli import cli

    monkeypatch.setenv("HOME", str(tmp_path))

    def type_in(*words: Any) -> Any:
        result = CliRunner().invoke(
            cli.cli,
            ["--endpoint", url, "--output", "json", *words],
            obj={},
            input="y\n",
            catch_exceptions=False,
        )
        assert result.exit_code == 0, result.output
        return result.output

    type_in("pipeline", "create", "-p", f"{name}-cli", package)
    client = kfp.Client(host=url)
    pipeline_id = client.get_pipeline_id(f"{name}-cli")
    type_in("pipeline", "create-version", "--pipeline-id", pipeline_id, "-v", f"{name}-cli-2", package)
    assert f"{name}-cli" in type_in("pipeline", "list", "--max-size", "200")
    type_in("run", "create", "-e", name, "-r", f"{name}-run", "-f", package, "word=hi")
    assert name in type_in("experiment", "list", "--max-size", "200")
    run = client.list_runs(experiment_id=experiment).runs[0]
    assert run.display_name in type_in("run", "get", run.run_id)
    assert run.display_name in type_in("run", "list", "-e", experiment)
    for verb in ("archive", "unarchive", "delete"):
        type_in("run", verb, run.run_id)
    type_in(
        "recurring-run",
        "create",
        "--experiment-id",
        experiment,
        "--job-name",
        name,
        "--cron-expression",
        "0 0 3 * * *",
        "--pipeline-id",
        pipeline_id,
        "--version-id",
        client.list_pipeline_versions(pipeline_id).pipeline_versions[0].pipeline_version_id,
        "word=hi",
    )
    recurring = client.list_recurring_runs(experiment_id=experiment).recurring_runs[0].recurring_run_id
    assert name in type_in("recurring-run", "list", "-e", experiment)
    for verb in ("get", "disable", "enable", "delete"):
        type_in("recurring-run", verb, recurring)
    for version in client.list_pipeline_versions(pipeline_id).pipeline_versions:
        type_in("pipeline", "delete-version", pipeline_id, version.pipeline_version_id)
    type_in("pipeline", "delete", pipeline_id)
    for verb in ("archive", "unarchive"):
        type_in("experiment", verb, "--experiment-id", experiment)
