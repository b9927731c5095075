"""Archives that would run code, or reach beyond their own numbers, are refused as data: torch is not even imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from shared.errors import UnservableModel
from shared.models.tensor_type import TensorType
from shared.models.torch_archive.program import read_program
from tests.fakes.torch_archive import (
    FLOAT,
    INT,
    PROGRAM,
    WEIGHTS_CONFIG,
    Document,
    archive,
    members,
    meta,
    step,
    tensor,
    weights,
    zipped,
)

ROOT = Path(__file__).parents[5]


def refused(content: bytes, message: str) -> None:
    with pytest.raises(UnservableModel, match=message):
        read_program(content)


def graph(document: Document) -> Document:
    found: Document = document["graph_module"]["graph"]
    return found


def first(**changes: object) -> Callable[[Document], object]:
    """Changes the first step."""
    return lambda document: graph(document)["nodes"][0].update(changes)


def taking(argument: object, kind: object = 1) -> Callable[[Document], object]:
    """A first step with another second argument."""
    given = {"name": "other", "arg": argument, "kind": kind}
    return lambda document: graph(document)["nodes"][0]["inputs"].__setitem__(1, given)


def test_good_program_is_read() -> None:
    program = read_program(archive())
    assert program.signature.inputs == (
        TensorType("amount", "tensor(float)", (None,)),
        TensorType("count", "tensor(int64)", (None,)),
    )
    assert program.signature.outputs == (TensorType("scores", "tensor(float)", (None,)),)
    assert [step.operator for step in program.steps] == [
        ("mul", "Tensor"),
        ("to", "dtype"),
        ("add", "Tensor"),
    ]


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.exec",
        "torch.load",
        "torch.hub.load",
        "torch.ops.load_library",
        "torch.ops.aten.save.default",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.empty.memory_format",
        "torch.ops.aten.set_.source_Storage",
        "torch.ops.aten.resize_.default",
        "torch.ops.aten.rand.default",
        "torch.ops.aten.add.out",
        "torch.ops.aten.mul.Tensor.__class__",
        "torch.ops.aten.__class__.default",
        "torch.ops.mine.mul.default",
        "torch.ops.aten.mul",
        "torch.ops.prim.Print.default",
        "_operator.attrgetter",
        "_operator.call",
        "_operator.pow",
        "math.__loader__.load_module",
        "#extension:op",
        "torch.ops.aten.mul.Tensor\n",
    ],
)
def test_target_that_is_not_allowed_is_refused(target: str) -> None:
    refused(archive(first(target=target)), "uses the operator")


def test_higher_order_operator_is_refused_by_name() -> None:
    refused(archive(first(target="torch.ops.higher_order.cond")), "higher-order operator 'cond'")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"as_graph": {"name": "g", "graph": {}}}, "a graph of its own"),
        ({"as_custom_obj": {"name": "o", "class_fqn": "os.system"}}, "an object of a class"),
        ({"as_operator": "os.system"}, "an operator as an argument"),
        ({"as_complex": {"real": 1.0, "imag": 0.0}}, "as_complex"),
        ({"as_tensor": {"name": "later"}}, "'later', which no step before it returns"),
        ({"as_tensors": [{"name": "mul"}]}, "'mul', which no step before it returns"),
        ({"as_sym_ints": [{"as_name": "later"}]}, "'later', which no step before it returns"),
        ({"as_sym_int": {"as_expr": "1"}}, "as_expr"),
        ({"as_int": True}, "bool; expected int"),
        ({"as_int": 1.5}, "float; expected int"),
        ({"as_float": "__import__('os')"}, "str; expected float"),
        ({"as_bool": 1}, "int; expected bool"),
        ({"as_scalar_type": 99}, "torch's type 99"),
        ({"as_scalar_type": "float32.__class__"}, "str; expected int"),
        ({"as_memory_format": 9}, "memory format"),
        ({"as_layout": 1}, "sparse"),
        ({"as_int": 1, "as_float": 1.0}, "2 keys"),
        (["as_int"], "list; expected dict"),
    ],
)
def test_argument_that_is_no_data_is_refused(argument: object, message: str) -> None:
    refused(archive(taking(argument)), message)


@pytest.mark.parametrize("kind", [0, 3])
def test_argument_of_unknown_kind_is_refused(kind: int) -> None:
    refused(archive(taking({"as_int": 1}, kind)), "unknown kind")


@pytest.mark.parametrize("name", ["out", "a b", "a)(", ""])
def test_argument_with_a_name_of_its_own_is_refused(name: str) -> None:
    """Torch writes names of arguments into the program that it runs."""
    given = {"name": name, "arg": {"as_int": 1}, "kind": 2}
    refused(
        archive(lambda document: graph(document)["nodes"][0]["inputs"].__setitem__(1, given)),
        "has an argument",
    )


def test_value_that_is_returned_twice_is_refused() -> None:
    refused(archive(first(outputs=[tensor("amount")])), "'amount' a second time")


def test_result_that_no_step_computes_is_refused() -> None:
    def change(document: Document) -> None:
        graph(document)["outputs"] = [tensor("nothing")]
        graph(document)["tensor_values"]["nothing"] = meta(FLOAT, None)
        document["graph_module"]["signature"]["output_specs"] = [{"user_output": {"arg": tensor("nothing")}}]

    refused(archive(change), "no step computes")


EXPRESSION = "__import__('pathlib').Path({path!r}).touch() or Symbol('s0')"


def test_nothing_in_a_hostile_archive_runs(tmp_path: Path) -> None:
    """Everything that torch.export.load evaluates, imports or unpickles, in one archive: here it is text, or refused."""
    mark = tmp_path / "ran"

    def change(document: Document) -> None:
        evil = EXPRESSION.format(path=str(mark))
        values = graph(document)["tensor_values"]
        values["mul"] = meta(FLOAT, None)
        values["mul"]["sizes"][0]["as_expr"]["expr_str"] = evil
        graph(document)["sym_int_values"]["s"] = {"as_expr": {"expr_str": evil, "hint": None}}
        document["guards_code"] = [evil]
        document["verifiers"] = [evil]
        document["range_constraints"][evil] = {"min_val": 2, "max_val": None}
        graph(document)["nodes"][0]["metadata"]["source_fn_stack"] = "x,torch.hub.load"
        graph(document)["nodes"][0]["name"] = f"x = {evil}; y"
        specification = orjson.dumps(
            [1, {"type": "pathlib.Path", "context": f'"{mark}"', "children_spec": []}]
        ).decode()
        called: Document = {
            "inputs": [],
            "outputs": [],
            "in_spec": specification,
            "out_spec": specification,
            "forward_arg_names": None,
        }
        document["graph_module"]["module_call_graph"] = [{"fqn": "", "signature": called}]

    pickle = b"cpathlib\nPath\n(S'%s'\ntR." % str(mark).encode()
    content = zipped(members() | {PROGRAM: archive_document(change), "data/sample_inputs/model.pt": pickle})
    program = read_program(content)
    assert [one.name for one in program.signature.inputs] == ["amount", "count"]
    assert not mark.exists()


def archive_document(change: Callable[[Document], object]) -> bytes:
    document = orjson.loads(members()[PROGRAM])
    change(document)
    return orjson.dumps(document)


def test_input_whose_rows_are_an_expression_is_refused() -> None:
    """Of an even number of rows only, for example: the server answers any."""

    def change(document: Document) -> None:
        graph(document)["tensor_values"]["amount"]["sizes"][0]["as_expr"]["expr_str"] = (
            "Mul(Integer(2), Symbol('s0', integer=True))"
        )

    refused(archive(change), "axis that is computed from another")


def test_pickled_weight_is_refused() -> None:
    config = orjson.dumps(weights(use_pickle=True))
    refused(zipped(members() | {WEIGHTS_CONFIG: config}), "in a pickle")


@pytest.mark.parametrize("file", ["weight_7", "../../../etc/passwd", "weight_0/../weight_0", "custom_obj_0"])
def test_weight_in_no_member_is_refused(file: str) -> None:
    config = orjson.dumps(weights(path_name=file))
    refused(zipped(members() | {WEIGHTS_CONFIG: config}), "has no member")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [{"as_int": 2}], "strides": [{"as_int": 1}]}, "needs 2 elements"),
        ({"storage_offset": {"as_int": 1}}, "needs 2 elements"),
        ({"sizes": [{"as_int": 2}], "strides": [{"as_int": 1 << 40}]}, "needs 1099511627777 elements"),
        ({"sizes": [{"as_int": -1}], "strides": [{"as_int": 1}]}, "no plain number"),
        ({"sizes": [{"as_int": 2}], "strides": [{"as_int": -1}]}, "no plain number"),
        ({"sizes": [{"as_expr": {"expr_str": "8"}}], "strides": [{"as_int": 1}]}, "no plain number"),
        ({"sizes": [{"as_int": 1 << 41}], "strides": [{"as_int": 0}]}, "no plain number"),
        ({"sizes": [], "strides": [{"as_int": 1}]}, "0 sizes and 1 strides"),
        ({"dtype": 8}, "needs 1 elements of float64"),
        ({"dtype": 29}, "torch's type 29"),
        ({"layout": 1}, "sparse"),
    ],
)
def test_weight_beyond_its_bytes_is_refused(changes: Document, message: str) -> None:
    config = orjson.dumps(weights(tensor_meta=meta(FLOAT) | changes))
    refused(zipped(members() | {WEIGHTS_CONFIG: config}), message)


def specs(document: Document, which: str) -> list[Document]:
    found: list[Document] = document["graph_module"]["signature"][which]
    return found


def test_program_that_changes_its_state_is_refused() -> None:
    change = {"buffer_mutation": {"arg": {"name": "add"}, "buffer_name": "mean"}}
    refused(
        archive(lambda document: specs(document, "output_specs").insert(0, change)), r"changes its own state"
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"constant_input": {"name": "flag", "value": {"as_bool": True}}}, "a constant beside tensors"),
        ({"custom_obj": {"arg": {"name": "o", "class_fqn": "x"}, "custom_obj_name": "o"}}, "custom_obj"),
        ({"user_input": {"arg": {"as_sym_int": {"as_name": "n"}}}}, "not a tensor"),
        (
            {"buffer": {"arg": {"name": "b"}, "buffer_name": "lost", "persistent": True}},
            "no numbers for 'lost'",
        ),
    ],
)
def test_input_that_is_no_tensor_is_refused(spec: Document, message: str) -> None:
    refused(archive(lambda document: specs(document, "input_specs").append(spec)), message)


def test_graph_with_other_inputs_than_its_signature_is_refused() -> None:
    refused(archive(lambda document: graph(document)["inputs"].reverse()), "not those of its signature")


def test_graph_with_other_outputs_than_its_signature_is_refused() -> None:
    def change(document: Document) -> None:
        graph(document)["outputs"] = [tensor("mul")]

    refused(archive(change), "not those of its signature")


def test_output_that_is_no_tensor_is_refused() -> None:
    def change(document: Document) -> None:
        specs(document, "output_specs")[0]["user_output"]["arg"] = {"as_none": True}

    refused(archive(change), "an output of forward.. is none")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"schema_version": NaN}', b"\xff", b"[" * 100_000])
def test_document_that_is_no_program_is_refused(raw: bytes) -> None:
    refused(zipped(members() | {PROGRAM: raw}), "model.pt2")


def test_other_major_form_is_refused() -> None:
    refused(archive(lambda document: document["schema_version"].update(major=9)), "form 9")


def test_very_long_graph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.models.torch_archive.graph._MAX_STEPS", 2)
    refused(archive(), "3 steps")


def nested(*keys: str, kind: str = "builtins.dict") -> str:
    leaf: Document = {"type": None, "context": None, "children_spec": []}
    return orjson.dumps(
        [1, {"type": kind, "context": orjson.dumps(list(keys)).decode(), "children_spec": [leaf] * len(keys)}]
    ).decode()


def test_inputs_and_outputs_have_the_names_of_dictionaries() -> None:
    def change(document: Document) -> None:
        given = orjson.loads(nested("total amount", "count"))[1]
        empty = {"type": "builtins.dict", "context": "[]", "children_spec": []}
        both = {"type": "builtins.tuple", "context": "null", "children_spec": [given]}
        called: Document = {
            "in_spec": orjson.dumps(
                [1, {"type": "builtins.tuple", "context": "null", "children_spec": [both, empty]}]
            ).decode(),
            "out_spec": nested("value"),
        }
        document["graph_module"]["module_call_graph"] = [{"fqn": "", "signature": called}]

    signature = read_program(archive(change)).signature
    assert [one.name for one in signature.inputs] == ["total amount", "count"]
    assert [one.name for one in signature.outputs] == ["value"]


def test_several_outputs_are_numbered() -> None:
    def change(document: Document) -> None:
        graph(document)["outputs"].append(tensor("mul"))
        graph(document)["tensor_values"]["mul"] = meta(INT, None)
        specs(document, "output_specs").append({"user_output": {"arg": tensor("mul")}})

    assert [one.name for one in read_program(archive(change)).signature.outputs] == ["scores_0", "scores_1"]


def test_reading_an_archive_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(archive())
    code = (
        "import sys; from pathlib import Path; from shared.models.torch_archive.program import read_program; "
        f"read_program(Path({str(tmp_path / 'model.pt2')!r}).read_bytes()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_symbolic_step_is_read() -> None:
    def change(document: Document) -> None:
        size = step("torch.ops.aten.sym_size.int", "rows", tensor("amount"), {"as_int": 0})
        size["outputs"] = [{"as_sym_int": {"as_name": "rows"}}]
        twice = step("_operator.mul", "twice", {"as_sym_int": {"as_name": "rows"}}, {"as_int": 2})
        twice["outputs"] = [{"as_sym_int": {"as_name": "twice"}}]
        graph(document)["nodes"][:0] = [size, twice]

    assert [one.operator for one in read_program(archive(change)).steps][:2] == [
        ("sym_size", "int"),
        "_operator.mul",
    ]
