import json
from pathlib import Path

import pytest

from gangmu.encoding import Encoder
from gangmu.errors import DataError
from gangmu.labels import NAMES
from gangmu.settings import TextSettings
from train.dataset import Collator, GoldSentence, read_labelled, read_together, window_dataset

GOOD = {"id": "a", "sentences": [{"paragraph": 0, "text": "會(huì)議召開,議事。", "label": "other"}]}


def write(path: Path, *lines: object) -> Path:
    rows = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_gold_sentences_are_cleaned_and_never_split(tmp_path: Path) -> None:
    two = {
        "id": "b",
        "sentences": [{"paragraph": 0, "text": "一。二;三", "label": "goal", "also": "method", "rule": 3}],
    }
    reports = read_labelled(write(tmp_path / "x.jsonl", GOOD, "", two))
    assert [report.texts for report in reports] == [["会议召开，议事。"], ["一。二；三"]]


def test_every_fault_is_listed_with_its_line(tmp_path: Path) -> None:
    def sentence(**values: object) -> dict[str, object]:
        return {"id": "c", "sentences": [{"paragraph": 0, "text": "甲。", "label": "goal"} | values]}

    path = write(
        tmp_path / "x.jsonl",
        GOOD,
        sentence(label="措施"),
        "{broken",
        GOOD,
        sentence(text=" \u200b"),
        sentence(also="other"),
        sentence(rule=12),
        {"id": "d", "sentences": []},
        {**GOOD, "id": "e", "tpic": "x"},
    )
    with pytest.raises(DataError) as error:
        read_labelled(path)
    faults = "\n".join(error.value.faults)
    for words in (
        f"{path}:2: sentences.0.label: label '措施' is not one of {', '.join(NAMES)}",
        f"{path}:3: not one JSON object",
        f"{path}:4: id 'a' stands already in line 1",
        f"{path}:5: sentences.0.text: the sentence has no text",
        f"{path}:6: sentences.0.also: also 'other' is not one of",
        f"{path}:7: sentences.0.rule",
        f"{path}:8: sentences",
        f"{path}:9: tpic: Extra inputs",
    ):
        assert words in faults
    assert error.value.exit_code == 65


def test_faults_of_bytes_keys_and_ids_have_their_lines_too(tmp_path: Path) -> None:
    good = json.dumps(GOOD, ensure_ascii=False)
    first = '{"paragraph": 0, "text": "甲。", "label": "goal", "also": "goal"}'
    second = '{"paragraph": 0, "text": "半\\ud83d字", "label": "other"}'
    lines = [
        '{"id": "a", "sentences": [{"paragraph": 0, "text": "甲。", "label": "措施"}]}'.encode(),
        good.encode(),  # its id stands in a line that has a fault of its own
        good.replace('"a"', '"b"').encode("gb18030"),
        '{"id": "c", "id": "d", "sentences": [{"paragraph": 0, "text": "甲", "label": "goal", "label": "x"}]}'.encode(),
        f'{{"id": "e", "sentences": [{first}, {second}]}}'.encode(),
        b"[1, 2]",
        b'{"id": "f", "sentences": [{"paragraph": "0", "label": "other"}]}',
    ]
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    with pytest.raises(DataError) as error:
        read_labelled(path)
    found = [fault.removeprefix(f"{path}:") for fault in error.value.faults]
    expected = [
        "1: sentences.0.label: label '措施' is not one of",
        "2: id 'a' stands already in line 1",
        "3: not UTF-8 text at byte",
        "4: key 'label' stands 2 times; keep one",
        "4: key 'id' stands 2 times; keep one",
        "4: sentences.0.label: label 'x' is not one of",
        "5: sentences.0: also 'goal' is the label itself",
        "6: report: Input should be a valid dictionary",
        "7: sentences.0.paragraph: Input should be a valid integer",
        "7: sentences.0.text: Field required",
    ]
    assert len(found) == len(expected), found
    for fault, start in zip(found, expected, strict=True):
        assert fault.startswith(start)
        assert fault.encode()


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_labelled(tmp_path / "x.jsonl")
    with pytest.raises(DataError, match="no report"):
        read_labelled(write(tmp_path / "y.jsonl", ""))


def test_windows_carry_the_label_of_each_sentence_once(run_file: Path, tiny_encoder: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    settings = TextSettings(window=40)
    data = window_dataset(reports, settings)
    assert sum(len(row["targets"]) for row in data) == sum(len(report.sentences) for report in reports)
    batch = Collator(Encoder.load(tiny_encoder), settings)([data[i] for i in range(len(data))])
    assert int(batch["targets"].sum()) == sum(len(report.sentences) for report in reports)
    assert batch["pool"].shape[:2] == batch["targets"].shape[:2]


def test_a_target_is_the_label_shared_with_also_or_what_a_teacher_says() -> None:
    row = {"paragraph": 0, "text": "要健全制度。", "label": "method", "also": "goal"}
    assert GoldSentence.model_validate(row).target(0.0) == [0, 1, 0, 0, 0]
    assert GoldSentence.model_validate(row).target(0.25) == [0.25, 0.75, 0, 0, 0]
    scores = dict(zip(NAMES, [0.1, 0.2, 0.6, 0.05, 0.05], strict=True))
    assert GoldSentence.model_validate(row | {"scores": scores}).target(0.25) == list(scores.values())
    for bad in ({"goal": 1.0}, scores | {"goal": 0.5}, scores | {"goal": -0.1, "other": 0.25}):
        with pytest.raises(ValueError, match="scores need one for each of goal"):
            GoldSentence.model_validate(row | {"scores": bad})


def test_hidden_tokens_are_drawn_anew_and_spare_the_signs(run_file: Path, tiny_encoder: Path) -> None:
    settings = TextSettings(window=40, masks=1)
    data = window_dataset(read_labelled(run_file.parent / "train.jsonl"), settings)
    rows = [data[i] for i in range(len(data))]
    encoder = Encoder.load(tiny_encoder)
    whole = Collator(encoder, settings)(rows)["input_ids"]
    first, second = (Collator(encoder, settings, hidden=0.3)(rows)["input_ids"] for _ in range(2))
    signs = (encoder.pad, encoder.cls, encoder.sep, encoder.mask)
    text = ~sum(whole == sign for sign in signs).bool()
    assert (first[~text] == whole[~text]).all()
    assert 0.2 < (first[text] == encoder.mask).float().mean() < 0.4
    assert (first != second).any()
    assert ((first == whole) | (first == encoder.mask)).all()


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    first, second = (write(tmp_path / f"{name}.jsonl", {**GOOD, "id": name}) for name in "ab")
    assert [report.id for report in read_together([first, second])] == ["a", "b"]
    with pytest.raises(DataError, match=r"c.jsonl: id 'a' stands in .*a.jsonl too"):
        read_together([first, write(tmp_path / "c.jsonl", {**GOOD, "id": "a"})])
