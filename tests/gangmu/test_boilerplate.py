import pytest

from gangmu.cleaning import changes, clean
from gangmu.sentences import split_sentences


@pytest.mark.parametrize(
    "line",
    [
        "责任编辑：小禾",
        "（责编：甘露、许知白）",
        "【责任编辑 徐 婧】",
        "视频编辑：李梅 文字编辑：王帆",
        "一审：林可 二审：周舟 三审：方砚",
        "来源：某县融媒体中心",
        "（文章来源：《某刊》杂志）",
        "来源：某某禁毒 发布时间：5月14日 【字号：大 中 小】",
        "作者：党委组织部 审核：乐正平 发布时间：2031-02-27",
        "发布时间：2031年3月11日 10:20 浏览次数： 1,217次",
        "字体：[大][中][小]",
        "打印本页 | 关闭窗口",
        "【打印】 【关闭】",
        "分享到： 微信 新浪微博 QQ空间",
        "扫一扫在手机打开当前页",
        "微信扫一扫，分享到朋友圈",
        "上一篇：全县春耕现场会召开",
        "【下一条】 关于停水的通知",
        "相关链接：",
        "您现在的位置： 土木学院 >> 通知公告 >> 正文",
        "版权所有 某县人民政府办公室",
        "某ICP备00000000号-1 某公网安备 00000000000000号",
    ],
)
def test_lines_of_the_page_are_left_out(line: str) -> None:
    assert clean(f"会议召开\n{line}\n要抓落实。").text == "会议召开\n\n要抓落实。"


@pytest.mark.parametrize(
    "line",
    [
        "（记者 江小舟 通讯员 何志平）",
        "来源：县级财政统筹安排",
        "资金来源：省财政厅",
        "水的来源：某某水库和地下水",
        "审核：水利局",
        "初审：各镇街",
        "编辑：负责修改来稿",
        "扫一扫就能办成事",
        "下一条路修到哪里",
        "上一页的数据怎么核",
        "会议时间：2031年6月3日",
        "分享经验 共谋发展",
        "打印店要守住保密底线",
        "版权保护工作会议召开",
        "字号大一点，字数少一点",
        "当前位置不利于扩建",
        "责任编辑：小禾。",
        "会议召开。责任编辑：小禾",
    ],
)
def test_lines_of_the_report_stay(line: str) -> None:
    assert clean(line).text == line


def test_what_is_left_out_is_listed_with_its_place() -> None:
    raw = "會議召開。\r\n責任編輯:小禾\r\n"
    listed = [change for change in changes(raw) if change.rule == "boilerplate_lines"]
    assert [(c.before, c.after, raw[c.start : c.end]) for c in listed] == [("责任编辑：小禾", "", "責任編輯:小禾")]
    assert [s.text for s in split_sentences(raw)] == ["会议召开。"]
