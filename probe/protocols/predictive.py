"""Protocols of models whose response is one JSON document.

Sources: the inference protocols of KServe, the REST API of TensorFlow Serving, the scoring server
of MLflow, the inference API of TorchServe, and the rerank API of vLLM, Jina and Cohere.
"""

from probe.protocols.protocol import ProtocolKeys, ProtocolOptions, json_value, path_part

REQUEST_ID = "inference-probe"
MLFLOW_INPUTS = ("inputs", "instances", "dataframe_split", "dataframe_records")


def kserve_v1(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `kserve-v1`: POST /v1/models/MODEL:predict."""
    return ProtocolKeys(
        path=("/v1/models/", path_part(options.get("model")), ":predict"),
        body={"instances": options.get("instances")},
        expect={"json": {"$.predictions[0]": {"exists": True}}},
    )


def kserve_v2(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `kserve-v2`: POST /v2/models/MODEL/infer."""
    return ProtocolKeys(
        path=("/v2/models/", path_part(options.get("model")), "/infer"),
        body={"id": REQUEST_ID, "inputs": options.get("inputs")},
        expect={
            "json": {
                # The response to another request would have another one.
                "$.id": {"equals": REQUEST_ID},
                "$.outputs[0].data[0]": {"exists": True},
            }
        },
        version=json_value("$.model_version"),
    )


def tf_serving(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `tf-serving`: POST /v1/models/MODEL:predict."""
    name = "inputs" if options.get("inputs") is not None else "instances"
    output = "$.outputs" if name == "inputs" else "$.predictions[0]"
    return ProtocolKeys(
        path=("/v1/models/", path_part(options.get("model")), ":predict"),
        body={name: options.get(name)},
        expect={"json": {output: {"exists": True}}},
    )


def mlflow(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `mlflow`: POST /invocations."""
    return ProtocolKeys(
        path=("/invocations",),
        body={name: options[name] for name in MLFLOW_INPUTS if options.get(name) is not None},
        expect={"json": {"$.predictions": {"exists": True}}},
    )


def torchserve(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `torchserve`: POST /predictions/MODEL."""
    return ProtocolKeys(
        path=("/predictions/", path_part(options.get("model"))), body=options.get("input")
    )


def rerank(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `rerank`: POST /v1/rerank."""
    names = ("model", "query", "documents")
    return ProtocolKeys(
        path=("/v1/rerank",),
        body={name: options.get(name) for name in names},
        expect={"json": {"$.results[0].index": {"min": 0}}},
    )
