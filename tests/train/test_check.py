import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gangmu.errors import DataError
from train.check import copied, find_faults, main, near_duplicates, read_places, suspects
from train.copying import SharedRun, run_hashes, shared_runs

LONG = "要健全防汛值班值守和会商研判制度，层层压实巡堤查险责任。"

LONGER = LONG[:-1] + "，统筹做好物资储备、队伍集结和群众转移，坚决守住不垮坝、不溃堤、不死人的底线。"


def write(path: Path, *reports: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(report, ensure_ascii=False) + "\n" for report in reports), encoding="utf-8")
    return path


def report(identifier: str, *texts: str, **more: Any) -> dict[str, Any]:
    sentences = [
        {"paragraph": 0, "text": text, "label": "method"} for text in texts or (f"第{identifier}号会议召开。",)
    ]
    return {"id": identifier, "sentences": sentences, **more}


def faults(*paths: Path) -> list[str]:
    found: list[str] = []
    return [*found, *find_faults(read_places(paths, found)), *found]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([report("a")], [report("a", "另一场会议召开。")], "test.jsonl:1: a: this id stands already in {train}:1"),
        (
            [report("a"), report("b", "会议召开。", LONG)],
            [report("c", LONG)],
            f"test.jsonl:1: c, sentence 1: this sentence is the same as {{train}}:2: b, sentence 2: {LONG}",
        ),
        (
            [report("a", LONGER)],
            [report("b", LONGER.replace("层层", "逐级"))],
            "test.jsonl:1: b, sentence 1: this sentence is 82% the same as {train}:1: a, sentence 1: ",
        ),
        (
            [report("a", *(f"{i}号文件要落实。" for i in range(9)))],
            [report("b", *(f"{i}号文件要落实。" for i in range(9)))],
            "test.jsonl:1: b: this report is the same as {train}:1: a",
        ),
        (
            [report("a", topic="防汛", genre="调研")],
            [report("b", topic="防汛", genre="调研")],
            "test.jsonl:1: b: topic 防汛 with genre 调研 stands also in {train}:1: a",
        ),
        ([report("a", "  ")], [report("b")], "{train}:1: sentences.0.text: the sentence has no text"),
        ([{"id": "a", "sentences": []}], [report("b")], "{train}:1: sentences:"),
    ],
)
def test_each_fault_is_named_with_file_and_line(
    tmp_path: Path, train: list[dict[str, Any]], test: list[dict[str, Any]], message: str
) -> None:
    paths = [write(tmp_path / "train.jsonl", *train), write(tmp_path / "test.jsonl", *test)]
    found = faults(*paths)
    assert any(message.format(train=paths[0]) in line for line in found), found


def test_short_sentences_and_other_reports_are_no_fault(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", report("a", "会议召开。", LONG, topic="防汛", genre="调研"))
    test = write(tmp_path / "test.jsonl", report("b", "会议召开。", "要深入排查。", topic="防汛", genre="约谈"))
    assert faults(train, test) == []


def test_near_duplicates_are_those_that_comparing_all_pairs_finds() -> None:
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("防汛值班制度要健全"), 14)) for _ in range(150)]
    texts += [text[:-1] + "。" for text in texts[:40]]

    def jaccard(one: str, other: str) -> float:
        a, b = ({text[i : i + 5] for i in range(len(text) - 4)} for text in (one, other))
        return len(a & b) / len(a | b)

    expected = {
        (i, j) for j in range(len(texts)) for i in range(j) if jaccard(texts[i], texts[j]) > 0.8
    }  # fmt: skip
    assert len(expected) >= 40
    assert {(i, j) for i, j, _ in near_duplicates(texts)} == expected


def test_a_wrong_label_is_the_first_suspect(run_file: Path, tmp_path: Path) -> None:
    lines = (run_file.parent / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    wrong = next(s for s in rows[4]["sentences"] if s["label"] == "mechanism")
    wrong["label"] = "other"
    found = suspects(read_places([write(tmp_path / "train.jsonl", *rows)], []))
    assert (found[0].label, found[0].expected, found[0].text) == ("other", "mechanism", wrong["text"])
    assert found[0].place.startswith(f"{tmp_path / 'train.jsonl'}:5: {rows[4]['id']}, sentence ")


def test_copied_runs_are_found_and_set_phrases_left_out(tmp_path: Path) -> None:
    own = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午"
    phrase = "坚持以人民为中心的发展思想谋划各项工作"
    told = "各级要把这项硬任务扛在肩上抓在手里"
    written = write(tmp_path / "train.jsonl", report("a", f"要{own}。", phrase, "要排查。", told))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    documents = [f"{phrase}第{n}。" for n in range(5)] + [f"某处说{own}如此。"]
    (corpus / "甲.txt").write_text("\n\n".join(documents), encoding="utf-8")
    real = tmp_path / "real.jsonl"
    real.write_text(json.dumps({"id": "r", "text": f"会议\n{told}。"}, ensure_ascii=False), encoding="utf-8")
    lines = copied(read_places([written], []), corpus, [real])
    assert [line.split(": shares ")[0] for line in lines] == [
        f"{written}:1: a, sentence 1",
        f"{written}:1: a, sentence 4",
    ]
    assert "shares 2 runs of 16 characters with real texts, first: 甲乙丙" in lines[0]


def test_shared_runs_count_documents_not_occurrences(tmp_path: Path) -> None:
    run = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳"
    (place,) = read_places([write(tmp_path / "x.jsonl", report("a", run))], [])
    corpus = [[run, run, run], ["别的"], [run]]
    assert shared_runs([place.report], corpus, []) == [SharedRun("a", 0, run, 2)]


def test_hashes_of_a_run_do_not_depend_on_its_place() -> None:
    text = "𠮷祥要完善会商研判机制，" * 3
    hashes = run_hashes(text, 12)
    assert (hashes[:12] == hashes[12:24]).all()
    assert len(set(hashes.tolist())) == 12


def test_the_command_lists_faults_and_leaves_with_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.jsonl", report("a", LONG))
    main([folder])
    assert capsys.readouterr().out == "1 reports, 1 sentences: no fault\n"
    write(folder / "dev.jsonl", report("b", LONG))
    with pytest.raises(DataError, match=r"dev.jsonl:1: b, sentence 1: this sentence is the same as") as caught:
        main([folder])
    assert caught.value.exit_code == 65
    with pytest.raises(DataError, match=r"no train.jsonl, dev.jsonl, test.jsonl in this folder"):
        main([Path(sys.prefix) / "lib"])
