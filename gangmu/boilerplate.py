"""The rule for lines of web pages that are no part of the report: credits, buttons, links, footers.

Only whole lines, short and without a stop, whose every part is known: whatever else stands in a line keeps it all.
Bylines (记者 …) are part of a report.
"""

import re

from gangmu.edits import Edit

SHORT_LINE = re.compile("\n[^\n]{1,120}+(?<![。！？；])(?=\n)")
"""Longer lines are text. The newline before it is in, which makes it quick to find."""


def boilerplate_lines(text: str) -> list[Edit]:
    """Return edits that empty lines of page furniture, links to other pages and site footers.

    >>> from gangmu.cleaning import clean
    >>> clean("责任编辑：小禾\\n会议召开\\n上一篇：春耕现场会召开\\n版权所有 某县政府办").text
    '\\n会议召开\\n\\n'
    """
    lines = SHORT_LINE.finditer(f"\n{text}\n")
    return [Edit(m.start(), m.end() - 1, "") for m in lines if is_boilerplate(m[0].strip())]


def is_boilerplate(line: str) -> bool:
    """Return whether a line is boilerplate alone.

    >>> is_boilerplate("来源：县级财政"), is_boilerplate("资金来源：县财政局"), is_boilerplate("下一条路修到哪里")
    (False, False, False)
    """
    return is_furniture(line) or is_link(line) or is_footer(line)


def is_furniture(line: str) -> bool:
    """Return whether a line holds source, credits, date, counter, font size, print and share buttons alone.

    One of its parts is sure to be one, or two name reviewers: 审核：水利局 alone may be a step of some procedure.

    >>> is_furniture("来源：某县融媒体中心 发布时间：2031-05-04 【字号：大 中 小】"), is_furniture("审核：水利局")
    (True, False)
    """
    kinds = []
    end = 0
    while part := PART.match(line, end):
        kinds.append(part.lastgroup)
        end = part.end()
    return end == len(line) and ("sure" in kinds or kinds.count("review") > 1)


def is_link(line: str) -> bool:
    """Return whether a line leads to another page.

    >>> [is_link(line) for line in ("上一篇：全县春耕现场会召开", "下一页", "相关附件>>", "下一页怎么写")]
    [True, True, True, False]
    """
    return LINK.fullmatch(line) is not None


def is_footer(line: str) -> bool:
    """Return whether a line names the place in a site, its owner or its licence.

    >>> is_footer("当前位置：首页 > 政务动态"), is_footer("版权所有 某县政府办 某ICP备00000000号")
    (True, True)
    """
    return FOOTER.fullmatch(line) is not None


def _part() -> re.Pattern[str]:
    """Return what matches one part of a line of page furniture, and whether it is sure to be one."""
    han = "[\u3400-\u9fff]"
    colon = " ?[：:/] ?"
    person = f"(?:{han}{{2,3}}|{han} {han})(?![：:\u3400-\u9fff])"
    name = f"(?:[\u3400-\u9fff·]{{2,12}}|{han} {han}|[A-Za-z]{{2,12}})(?![：:\u3400-\u9fff])"
    names = f"{name}(?:[、，, /]{name})*"
    date = r"\d[\d年月日时分秒:：/. -]*"
    medium = "[^ ：:，。；！？|】）)]"
    press = "网|[报社台刊讯]|杂志|微[信博]|公众号|客户端|频道|融媒|发布|本站|原创|政府|(?:[局委厅处办室]|中心|宣传部)$"
    sites = "微信好友|微信|朋友圈|新浪微博|腾讯微博|微博|QQ好友|QQ空间|QQ|人人网|豆瓣|钉钉|更多"
    page = "(?:本页|此页|本文|本站|页面|文章)"
    sizes = "特大|超大|默认|标准|放大|缩小|大|中|小|A[+-]?|[+-]"
    views = "在?手机|分享|关注|查看|阅读|打开|下载"
    sure = (
        f"编辑{colon}{person}(?:[、，, /]{person})*",
        f"(?:(?:责任|视频|文字|网络|网站|新闻|值班|本文|本期|图片|美术)编辑|责编|美编|编校)(?:{colon}| ){names}",
        f"(?:信息|文章|稿件|新闻|内容|原文|本文|图片)?(?:来源|稿源)[于自]?{colon}(?={medium}*(?:{press})){medium}+",
        f"(?:发布|更新|上传|录入|发表|推送|编发)(?:时间|日期){colon}{date}",
        f"(?:发布|录入)(?:机构|单位|部门|人|者){colon}{names}",
        rf"(?:浏览|点击|阅读|访问|查看)(?:(?:次数|人数|数|量)(?:{colon}| )?[\d,.万+]*|{colon}\d+)(?: ?人?次)?",
        rf"字[号体](?:大小)?(?:{colon}| )?(?:[ /|【(（\[]*(?:{sizes})[】)）\]]*)+",
        f"打印{page}|关闭(?:{page}|窗口)|收藏{page}|返回(?:顶部|首页|列表|上一页|上页)|回到顶部|复制链接",
        r"(?<=[【\[])(?:打印|关闭|收藏|分享|返回|纠错|推荐)(?=[】\]])|我要纠错|网页纠错|加入收藏|设为首页|语音播报|无障碍阅读",
        f"分享[到至](?:{colon}| )?(?:(?:{sites})[ 、|/]*)*",
        '(?:打开|使用|用)?(?:手机|微信)?[“"]?扫(?:一扫|描二维码|码)[”"]?'
        rf"(?:[，, ]?(?:{views})[^，。；！？]{{0,14}})?(?![^ 】）)\]])",
    )
    review = f"(?:审核|初审|复审|终审|[一二三]审|校对|审校|监制|编审|签发|制作){colon}{person}"
    beside = (
        f"(?:作者|记者|通讯员|供稿|撰稿|摄影|摄像|文字?|图片?|实习生)(?:{colon}| ){names}",
        f"(?:时间|日期){colon}{date}|(?:来源|稿源){colon}{medium}+|打印|关闭|收藏|分享|返回|纠错|下载|转发|点赞|首页",
    )
    edge = r"[ |/、【】（）()\[\]<>-]*"
    return re.compile(f"{edge}(?:(?P<sure>{'|'.join(sure)})|(?P<review>{review})|(?P<beside>{'|'.join(beside)})){edge}")


PART = _part()
LINK = re.compile(
    r"[【\[<《（( ]*(?:[上下]一[篇条页则]|[前后]一篇)(?:新闻|文章|信息)?(?: ?[：:>》】\])）].*)?"
    "|(?:相关|热点|热门|推荐|更多|最新|延伸)(?:链接|新闻|阅读|文章|附件|稿件|文档|资讯) ?[：:>》】]*"
)
FOOTER = re.compile(
    "(?:[您你]?(?:现在|当前|所在)?的?位置|当前位置)[：:].*(?:首页|>|»).*"
    "|(?:版权所有|Copyright|©).*|.*ICP[备证].{0,20}号.*|.*公网安备.{0,20}号.*|网站标识码.*",
)
