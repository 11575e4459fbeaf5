"""Models of `protocol`: the keys of each protocol of a model server."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from probe.config import settings, types
from probe.config.config_model import ConfigModel, config_key
from probe.config.protocol_expansion import DEFAULT_MAX_TOKENS
from probe.protocols.predictive import MLFLOW_INPUTS

_EXTRA = "More keys of the body, merged into it. A null removes a key that the protocol writes."

MaxTokens = Annotated[int, *types.integer(1, 1_000_000)]


def _require_one(model: ConfigModel, *names: str) -> None:
    """Raise ValueError unless exactly one of the keys has a value."""
    given = [name for name in names if getattr(model, name) is not None]
    if not given:
        raise ValueError(f"no input; write {' or '.join(names)}")
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are given; write only one of them")


class GenerationProtocol(ConfigModel):
    """Keys of all requests that generate text."""

    max_tokens: MaxTokens = config_key(DEFAULT_MAX_TOKENS, "Maximum number of generated tokens.")
    nonce: types.Boolean | None = config_key(
        None,
        "Whether the prompt begins with a random number, so that no prompt cache has it. By"
        " default that of prompts with 64 or more tokens (estimated).",
    )
    extra: types.Json = config_key({}, _EXTRA)


class PromptProtocol(GenerationProtocol):
    """Request to generate text from a prompt."""

    model: types.Text = Field(description="Name of the model.")
    prompt: types.Text = Field(description="The prompt.")


class TgiProtocol(GenerationProtocol):
    """Request to Text Generation Inference, which serves one model."""

    prompt: types.Text = Field(description="The prompt.")


class ChatProtocol(GenerationProtocol):
    """Request of a chat: a prompt, or messages in the format of the protocol."""

    model: types.Text = Field(description="Name of the model.")
    prompt: types.Text | None = config_key(None, "The prompt: the only message of the user.")
    messages: types.Json = config_key(None, "The messages, instead of `prompt`.")

    @model_validator(mode="after")
    def _require_input(self) -> Self:
        _require_one(self, "prompt", "messages")
        return self


class EmbeddingsProtocol(ConfigModel):
    """Request for embeddings."""

    model: types.Text = Field(description="Name of the model.")
    input: types.Json = Field(description="Text, or a list of texts.")
    extra: types.Json = config_key({}, _EXTRA)


class RerankProtocol(ConfigModel):
    """Request to rank documents."""

    model: types.Text = Field(description="Name of the model.")
    query: types.Text = Field(description="The query.")
    documents: types.Json = Field(description="A list of texts.")
    extra: types.Json = config_key({}, _EXTRA)


class KserveV1Protocol(ConfigModel):
    """Request to a model in KServe v1."""

    model: types.Text = Field(description="Name of the model.")
    instances: types.Json = Field(description="A list of inputs.")
    extra: types.Json = config_key({}, _EXTRA)


class KserveV2Protocol(ConfigModel):
    """Request to a model in KServe v2, the Open Inference Protocol."""

    model: types.Text = Field(description="Name of the model.")
    inputs: types.Json = Field(description="A list of tensors: name, shape, datatype and data.")
    extra: types.Json = config_key({}, _EXTRA)


class TfServingProtocol(ConfigModel):
    """Request to TensorFlow Serving: rows or columns."""

    model: types.Text = Field(description="Name of the model.")
    instances: types.Json = config_key(None, "A list of inputs.")
    inputs: types.Json = config_key(None, "Columns, instead of `instances`.")
    extra: types.Json = config_key({}, _EXTRA)

    @model_validator(mode="after")
    def _require_input(self) -> Self:
        _require_one(self, "instances", "inputs")
        return self


class MlflowProtocol(ConfigModel):
    """Request to the scoring server of MLflow, with one kind of input."""

    inputs: types.Json = config_key(None, "Tensors.")
    instances: types.Json = config_key(None, "Tensors by row.")
    dataframe_split: types.Json = config_key(None, "A table: columns and data.")
    dataframe_records: types.Json = config_key(None, "A table: a list of rows by column.")
    extra: types.Json = config_key({}, _EXTRA)

    @model_validator(mode="after")
    def _require_input(self) -> Self:
        _require_one(self, *MLFLOW_INPUTS)
        return self


class TorchserveProtocol(ConfigModel):
    """Request to TorchServe."""

    model: types.Text = Field(description="Name of the model.")
    input: types.Json = Field(description="Text, or JSON.")


def _protocol_key(name: str, model: str) -> Any:
    return config_key(None, f"{model}.", alias=name)


class ProtocolChoiceModel(ConfigModel):
    """Protocol of the model server, and its request. Exactly one key."""

    settings_type = settings.ProtocolChoice

    openai_chat: ChatProtocol | None = _protocol_key(
        "openai-chat", "Chat of OpenAI, vLLM, SGLang, llama.cpp, TGI and gateways"
    )
    openai_completions: PromptProtocol | None = _protocol_key(
        "openai-completions", "Completions of OpenAI and vLLM"
    )
    openai_responses: ChatProtocol | None = _protocol_key(
        "openai-responses", "Responses of OpenAI and vLLM"
    )
    openai_embeddings: EmbeddingsProtocol | None = _protocol_key(
        "openai-embeddings", "Embeddings of OpenAI, vLLM and TEI"
    )
    anthropic_messages: ChatProtocol | None = _protocol_key(
        "anthropic-messages", "Messages of Anthropic"
    )
    ollama_chat: ChatProtocol | None = _protocol_key("ollama-chat", "Chat of Ollama")
    ollama_generate: PromptProtocol | None = _protocol_key(
        "ollama-generate", "Generation of Ollama"
    )
    tgi: TgiProtocol | None = _protocol_key("tgi", "Text Generation Inference")
    triton_generate: PromptProtocol | None = _protocol_key(
        "triton-generate", "Generate extension of Triton"
    )
    gemini: ChatProtocol | None = _protocol_key("gemini", "Gemini API of Google")
    bedrock_converse: ChatProtocol | None = _protocol_key(
        "bedrock-converse", "Converse API of Amazon Bedrock, with an API key"
    )
    sagemaker_stream: ChatProtocol | None = _protocol_key(
        "sagemaker-stream", "SageMaker, behind a gateway that signs; `model` is the endpoint"
    )
    kserve_v1: KserveV1Protocol | None = _protocol_key("kserve-v1", "KServe v1")
    kserve_v2: KserveV2Protocol | None = _protocol_key("kserve-v2", "KServe v2, Triton, MLServer")
    tf_serving: TfServingProtocol | None = _protocol_key("tf-serving", "TensorFlow Serving")
    mlflow: MlflowProtocol | None = _protocol_key("mlflow", "MLflow, SageMaker containers")
    torchserve: TorchserveProtocol | None = _protocol_key("torchserve", "TorchServe")
    rerank: RerankProtocol | None = _protocol_key("rerank", "Rerank API of vLLM, Jina and Cohere")

    @property
    def name(self) -> str:
        """The key of the protocol, such as `openai-chat`."""
        (field,) = self.model_fields_set
        return field.replace("_", "-")

    @property
    def accepts_cached_prompts(self) -> bool:
        (field,) = self.model_fields_set
        request = getattr(self, field)
        return isinstance(request, GenerationProtocol) and request.nonce is False

    @model_validator(mode="after")
    def _require_one_protocol(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("write exactly one protocol, such as {openai-chat: {model: MODEL}}")
        return self
