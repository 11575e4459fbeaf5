"""The protocols by their names in the config."""

from collections.abc import Mapping

from probe.protocols import aws, generative, openai, predictive
from probe.protocols.protocol import Protocol

PROTOCOLS: Mapping[str, Protocol] = {
    "openai-chat": openai.chat,
    "openai-completions": openai.completions,
    "openai-responses": openai.responses,
    "openai-embeddings": openai.embeddings,
    "anthropic-messages": generative.anthropic_messages,
    "ollama-chat": generative.ollama_chat,
    "ollama-generate": generative.ollama_generate,
    "tgi": generative.tgi,
    "triton-generate": generative.triton_generate,
    "gemini": generative.gemini,
    "bedrock-converse": aws.bedrock_converse,
    "sagemaker-stream": aws.sagemaker_stream,
    "kserve-v1": predictive.kserve_v1,
    "kserve-v2": predictive.kserve_v2,
    "tf-serving": predictive.tf_serving,
    "mlflow": predictive.mlflow,
    "torchserve": predictive.torchserve,
    "rerank": predictive.rerank,
}
