"""What the official client expects of the server whose URL is the argument.

The models `extra-1` to `extra-8` have faults; see FAULTS in openai_client.rs.
"""

import asyncio
import sys
import traceback

import openai

BASE = sys.argv[1] + "/v1"
ROUTED = {"nano", "mini", "base", "large"}
PROMPTS = [
    "What is the capital of France?",
    "Write a function in Python that reverses a linked list.",
    "Prove that the square root of 2 is irrational.",
    "Extract all dates from: we met on 3 May and 9 June 2021.",
    "Plan a week in Lisbon for two people with 900 euros.",
    "Which of these is a noble gas? (A) iron (B) neon (C) water (D) salt",
]
client = openai.OpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=30)


def messages(text=PROMPTS[0]):
    return [{"role": "user", "content": text}]


def ask(model, **more):
    return client.chat.completions.create(model=model, messages=messages(), **more)


def fails_with(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected, but there was an answer")


def read(stream):
    """The text, the chunks, and the error that ended the stream, if one did."""
    text, chunks = "", []
    try:
        for chunk in stream:
            chunks.append(chunk)
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    except openai.APIError as error:
        return text, chunks, error
    return text, chunks, None


def auto_is_routed():
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=messages())
    answer = raw.parse()
    assert raw.headers["x-sextant-model"] in ROUTED
    assert answer.model == raw.headers["x-sextant-model"]
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert float(raw.headers["x-sextant-cost-usd"]) > 0
    assert 0 < float(raw.headers["x-sextant-propensity"]) <= 1


def tiers_trade_cost_for_quality():
    def cost(tier):
        raw = [
            client.chat.completions.with_raw_response.create(
                model=f"auto:{tier}", messages=messages(prompt)
            )
            for prompt in PROMPTS
        ]
        assert {answer.headers["x-sextant-tier"] for answer in raw} == {tier}
        return sum(float(answer.headers["x-sextant-cost-usd"]) for answer in raw)

    cheap, good = cost("cost"), cost("quality")
    assert cheap < good, (cheap, good)


def a_named_model_is_binding():
    for model in sorted(ROUTED):
        raw = client.chat.completions.with_raw_response.create(model=model, messages=messages())
        assert raw.headers["x-sextant-model"] == raw.parse().model == model
        assert raw.headers["x-sextant-policy"] == "explicit"


def an_unknown_model_is_not_found():
    error = fails_with(openai.NotFoundError, lambda: ask("gpt-none"))
    assert (error.code, error.param, error.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert "gpt-none" in error.message and "/v1/models" in error.message
    error = fails_with(openai.NotFoundError, lambda: ask("auto:best", stream=True))
    assert error.code == "model_not_found"


def a_wrong_request_is_a_bad_request():
    create = client.chat.completions.create
    error = fails_with(openai.BadRequestError, lambda: create(model="auto", messages="hello"))
    assert error.param == "messages" and "messages" in error.message


def models_are_listed():
    ids = [model.id for model in client.models.list()]
    tiers = {"auto", "auto:cost", "auto:balanced", "auto:quality", "auto:speed"}
    assert tiers | ROUTED <= set(ids) and len(ids) == len(set(ids))


def a_stream_says_what_the_whole_answer_says():
    whole = ask("mini").choices[0].message.content
    text, chunks, error = read(ask("mini", stream=True))
    assert error is None and text == whole and len(chunks) > 3
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks), "usage was not asked for"


def a_stream_is_routed_and_can_be_judged():
    create = client.chat.completions.with_raw_response.create
    raw = create(model="auto:cost", messages=messages(), stream=True)
    text, _, error = read(raw.parse())
    assert error is None and text and raw.headers["x-sextant-model"] in ROUTED
    body = {"decision_id": raw.headers["x-sextant-decision-id"], "thumbs": "up"}
    assert client.post("/feedback", body=body, cast_to=object)["quality"] == 1.0
    error = fails_with(
        openai.NotFoundError,
        lambda: client.post("/feedback", body={**body, "decision_id": "0"}, cast_to=object),
    )
    assert error.code == "router_decision_not_found"


def usage_ends_a_stream_that_asks_for_it():
    usage = ask("mini").usage
    _, chunks, error = read(ask("mini", stream=True, stream_options={"include_usage": True}))
    assert error is None and chunks[-1].choices == [] and chunks[-1].usage == usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def a_stream_that_breaks_is_an_error():
    for model in ("extra-3", "extra-4"):
        text, chunks, error = read(ask(model, stream=True))
        assert text, "what came before the cut is delivered"
        assert isinstance(error, openai.APIError), f"{model}: silently cut after {text!r}"
        assert error.code == "router_stream_cut", error.code
        assert error.body["delivered_characters"] == len(text)
        assert not any(choice.finish_reason for chunk in chunks for choice in chunk.choices)


def a_failure_before_the_first_content_has_a_status():
    for call, why in (
        (lambda: ask("extra-5"), "the upstream's answer is not a JSON object"),
        (lambda: ask("extra-5", stream=True), "the upstream sent an event that is not JSON"),
        (lambda: ask("extra-6"), "the connection to the upstream broke"),
        (lambda: ask("extra-6", stream=True), "the connection to the upstream broke"),
        (lambda: ask("extra-8", stream=True), "the upstream's stream ended too soon"),
    ):
        error = fails_with(openai.InternalServerError, call)
        assert error.status_code == 502, error
        assert "no model answered" in error.message and why in error.message, error


def a_throttled_call_is_repeated_by_the_client():
    # The fault strikes at every second call.
    assert ask("extra-1").choices
    error = fails_with(openai.RateLimitError, lambda: ask("extra-1"))
    assert error.code == "router_upstream_throttled"
    assert error.response.headers["retry-after"] == "0"
    assert error.response.headers["x-should-retry"] == "true"
    assert ask("extra-1").choices
    patient = client.with_options(max_retries=1)
    assert patient.chat.completions.create(model="extra-1", messages=messages()).choices


def a_failed_call_is_not_repeated_by_the_client():
    patient = client.with_options(max_retries=2)
    create = patient.chat.completions.create
    # The fault strikes once: if the client had tried again, there would be an answer.
    error = fails_with(
        openai.InternalServerError, lambda: create(model="extra-2", messages=messages())
    )
    assert error.status_code == 502 and error.code == "router_upstream_failed"
    assert "status 500" in error.message
    error = fails_with(openai.BadRequestError, lambda: ask("extra-7"))
    assert "simulated fault with status 400" in error.message, "the upstream's words are kept"


def many_at_once():
    async def main():
        many = openai.AsyncOpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=30)

        async def one(number):
            text = ""
            stream = await many.chat.completions.create(
                model="auto", messages=messages(PROMPTS[number % len(PROMPTS)]), stream=True
            )
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
            return text

        return await asyncio.gather(*(one(number) for number in range(24)))

    texts = asyncio.run(main())
    assert all("Result:" in text for text in texts)
    assert len(set(texts)) == len(PROMPTS), "one request, one answer"


CASES = [
    auto_is_routed,
    tiers_trade_cost_for_quality,
    a_named_model_is_binding,
    an_unknown_model_is_not_found,
    a_wrong_request_is_a_bad_request,
    models_are_listed,
    a_stream_says_what_the_whole_answer_says,
    a_stream_is_routed_and_can_be_judged,
    usage_ends_a_stream_that_asks_for_it,
    a_stream_that_breaks_is_an_error,
    a_failure_before_the_first_content_has_a_status,
    a_throttled_call_is_repeated_by_the_client,
    a_failed_call_is_not_repeated_by_the_client,
    many_at_once,
]

n_good = 0
for case in CASES:
    try:
        case()
        n_good += 1
        print(f"ok      {case.__name__}")
    except Exception:
        print(f"FAILED  {case.__name__}")
        traceback.print_exc()
print(f"openai {openai.__version__}: {n_good} of {len(CASES)} as expected")
sys.exit(n_good < len(CASES))
