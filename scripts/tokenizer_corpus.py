# SPDX-License-Identifier: Apache-2.0
"""Seeded text for tokenizer tests: what people write, and what breaks tokenizers.

cases(count, seed) gives strings, mostly one line each; prose(bytes, seed) gives one long mixed text for timings.
"""
import random
import unicodedata

ENGLISH = """The well in the yard had been dry for years, or so everyone said; nobody had let a bucket down to check.
She counted the steps twice, got 41 the first time and 42 the second, and wrote down both numbers.
"Don't touch that," he'd said, "it's older than we've been alive." They'll never believe it, I'm sure.
A compiler doesn't care what you meant; it cares what you wrote, and it'll tell you so at 2:37 a.m.
Prices rose 3.5% in March (from $1,024.99 to $1,060.86), then fell again; see figures 7a, 7b and 12.
Send the report to anna.lind@example.org or look at https://example.org/a/b?c=d&e=%20f#top before Friday.
Every bucket of water is lifted by hand, and every hand remembers the weight of it the morning after.
The committee's well-known view -- that "nothing could've been done" -- wasn't shared by its own members.
He hasn't read Moby-Dick, naïve as that may sound; the café's résumé lists a façade, a piñata and a jalapeño.
Two threads met at a barrier, and only one of them knew that the other would never arrive.""".split("\n")

CHINESE = """院子里的那口井已经干了很多年，至少大家都这么说，可是从来没有人真的放下水桶去看一看。
她把台阶数了两遍，第一遍是四十一级，第二遍是42级，于是把两个数字都记了下来。
“别碰它！”他说，“这东西比我们都老。”后来果然没有人再碰过。
今天是2026年11月23日，气温-3.5℃，湿度78%，请大家注意保暖、多喝热水。
编译器不在乎你的意思，它只在乎你写了什么；凌晨两点半它照样会告诉你（而且毫不客气）。
价格从¥1,024.99涨到了¥1,060.86，涨幅约3.5％，详见图７ａ和表１２。
深井之水，取之不尽；千里之行，始于足下。学而时习之，不亦说乎？
請在星期五之前把報告寄給我，謝謝！繁體字與简体字混在一起也没有关系。
他用Python写了一个tokenizer，每秒能处理20MB的文本，比原来快了10倍。
我们在一起讨论了Transformer模型的attention机制、KV缓存和MoE路由的实现细节。""".split("\n")

OTHER = """Старый колодец во дворе давно пересох, но никто этого не проверял. Ёлки-палки, 15-го числа!
Το πηγάδι της αυλής είχε στερέψει εδώ και χρόνια· έτσι έλεγαν όλοι, τουλάχιστον.
قالوا إن البئر في الفناء جفت منذ سنوات، لكن أحداً لم يتحقق من ذلك؛ ١٢٣٤٥ متراً؟
הבאר בחצר יבשה כבר שנים, כך לפחות אמרו כולם. שָׁלוֹם עֲלֵיכֶם!
आँगन का कुआँ बरसों से सूखा था, कम से कम सब यही कहते थे। १२३४
บ่อน้ำในลานบ้านแห้งมาหลายปีแล้ว อย่างน้อยทุกคนก็พูดกันอย่างนั้น ๑๒๓
庭の井戸は何年も前に枯れていた。こんにちは、カタカナ・ひらがなｶﾀｶﾅ゛゜ー、ヴァイオリン！
마당의 우물은 몇 년 동안 말라 있었다고 모두가 말했다. 한글 자모 ㄱㄴㄷ 가각힣
Ջրհորը տարիներ շարունակ չորացած էր։ ჭა ეზოში წლების განმავლობაში მშრალი იყო. ᲭᲐ ᏣᎳᎩ ꮳꮃꭹ
Giếng nước trong sân đã cạn nhiều năm rồi, ít nhất là mọi người nói thế. Übergrößenträger, æøå, ŒUVRE, ŉ ſ ﬁ ﬆ
ἐν ἀρχῇ ἦν ὁ λόγος ᾳ ᾼ ῼ ℂℕℝ ⅷ ½ ² ₃ ① ㊿ 𝔘𝔫𝔦 𝟘𝟙𝟚 𐐀𐐨 𞤀𞤢 𑢠𑣀 𖿰 ꙮ""".split("\n")

CODE = '''def fib(n: int) -> int:
    """Return the n-th number."""
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a  # O(n)
#include <vector>
template <class T> T&& forward(std::remove_reference_t<T>& t) noexcept { return static_cast<T&&>(t); }
\tfor (size_t i = 0; i != v.size(); ++i) { sum += v[i] * 0x1F'FFu; }  // don't
int main(int argc, char** argv) {\r\n\tprintf("%d\\n", argc);\r\n\treturn 0;\r\n}\r\n
SELECT id, COUNT(*) AS n FROM "users" WHERE name LIKE '%o''Neil%' GROUP BY id HAVING n >= 10;
const f = async ({a, ...rest}) => { await fetch(`/api/${a}?x=${rest.x ?? 1}`); };
{"key": [1, 2.5e-10, null, true], "nested": {"a\\u00e9": "\\n"}}
<div class="a b" data-x='1'>&nbsp;<!-- comment --></div><br/>
$ find . -name '*.py' -print0 | xargs -0 grep -nE '^\\s*(def|class) ' > out.txt 2>&1 && echo $?
fn main() -> Result<(), Box<dyn Error>> { let x: &'static str = r#"a"b"#; println!("{x:?}"); Ok(()) }
    if (x<=y&&z!=w||!(a>>2^b<<3)) goto L_1; /* ~~~ */ #define MAX(a,b) ((a)>(b)?(a):(b))
λx→∀ε>0 ∃δ: |x−a|<δ ⇒ |f(x)−L|<ε  ∑ᵢ₌₁ⁿ xᵢ² ≈ √π⁄2 ± 10⁻³ × ∞'''

EMOJI = ["😀", "🤖🦙", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇨🇳🇸🇪", "👍🏽", "❤️‍🔥", "1️⃣", "☃", "✔️", "🧑🏿‍🚀", "🫠", "🪿", "🀄", "🂡"]
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_QUITE_SPACES = "\u180e\u200b\u200c\u200d\u2060\ufeff\x1c\x1d\x1e\x1f\x00\x7f"
NUMBERS = "0123456789٠١٢३४๕𝟘𝟗½²₃①㊿Ⅷ〇一二三߀᠑𞥑𑇡༳Ꮩ𖿴𑷠"
MARKS = "̧̨̣̀́̂҈⃝़ំ゙゚ัً̈︎️"
SPECIALS = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>",
            "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|EOT|>", "<｜User", "<｜", "<think", "</think", "<|", "|>",
            "<｜▁pad▁｜>", "õ", "Á", "<｜tool▁calls▁begin｜>", "<｜DSML｜", "｜DSML｜", "<|im_start|", "<<think>>"]
CONTRACTIONS = ["'s", "'S", "'ſ", "'t", "'re", "'RE", "'rE", "'ve", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D", "'", "''",
                "'x", "'r", "'l", "'ſt", "’s"]

# Characters of every category that Unicode has, by what Python knows; other versions differ at the edges, which
# is the point of taking unassigned ones along.
_BY_CATEGORY = {}
for _c in list(range(1, 0x3000)) + list(range(0x3000, 0xD800, 7)) + list(range(0xE000, 0x32000, 3)) + list(range(0xE0000, 0xE0200)):
    if not 0xD800 <= _c < 0xE000:
        _BY_CATEGORY.setdefault(unicodedata.category(chr(_c)), []).append(chr(_c))


def _word(r):
    return "".join(r.choice("etaoinshrdlucmfwypvbgkjqxz") for _ in range(r.randint(1, 11)))


def _salad(r):
    words = [_word(r) for _ in range(r.randint(3, 14))]
    words = [w.upper() if r.random() < 0.08 else w.capitalize() if r.random() < 0.15 else w for w in words]
    return "".join(w + r.choice([" ", " ", " ", " ", ", ", ". ", "; ", "-", "_", "/", "  ", " (", ") "]) for w in words)


def _chinese(r):
    return "".join(chr(r.randint(0x4E00, 0x9FFF)) if r.random() < 0.3 else r.choice(CHINESE[r.randrange(len(CHINESE))])
                   for _ in range(r.randint(2, 40)))


def _run(r):
    unit = r.choice(["a", "A", "=", "-", " ", "\n", "\t", "\r\n", "1", "中", "あ", "é", "😀", "'", "ab", "।", "́", "\u3000", "_"])
    return r.choice(["", "x", " "]) + unit * r.choice([2, 3, 4, 7, 15, 16, 31, 64, 95, 96, 97, 130, 300]) + r.choice(["", "y", " z", "\n"])


def _snip(r, lines):
    line = r.choice(lines)
    if r.random() < 0.5:
        return line
    start = r.randrange(len(line))
    return line[start:start + r.randint(1, 60)]


def _mixture(r):
    parts = [lambda: r.choice(ENGLISH)[:r.randint(1, 20)], lambda: r.choice(CHINESE)[:r.randint(1, 12)],
             lambda: _snip(r, OTHER)[:15], lambda: r.choice(EMOJI), lambda: r.choice(SPACES) * r.randint(1, 3),
             lambda: "".join(r.choice(NUMBERS) for _ in range(r.randint(1, 6))), lambda: r.choice(MARKS),
             lambda: r.choice(CONTRACTIONS), lambda: r.choice(NOT_QUITE_SPACES), lambda: r.choice("!@#$%^&*()_+-=[]{}|\\;:\",./<>?`~"),
             lambda: r.choice("，。！？；：“”‘’（）【】、《》…—·～＋＝￥％ＡＢｃ１２")]
    return "".join(r.choice(parts)() for _ in range(r.randint(2, 12)))


def _any_characters(r):
    groups = list(_BY_CATEGORY.values())
    return "".join(r.choice(r.choice(groups)) + (" " if r.random() < 0.15 else "") for _ in range(r.randint(1, 25)))


def _specials(r):
    return "".join(r.choice([r.choice(SPECIALS), r.choice(SPECIALS), _word(r), r.choice(CHINESE)[:4], " ", "\n"])
                   for _ in range(r.randint(1, 8)))


def _contractions(r):
    return "".join(_word(r) + r.choice(CONTRACTIONS) + r.choice(["", " ", "  ", "é", "1", "中"]) for _ in range(r.randint(1, 6)))


def _numbers(r):
    return "".join(r.choice([str(r.randint(0, 10 ** r.randint(1, 14))), "".join(r.choice(NUMBERS) for _ in range(r.randint(1, 7))),
                             ".", ",", "-", " ", "e", "x", "%", "\u3000", "年"]) for _ in range(r.randint(2, 10)))


def _spaces(r):
    return "".join(r.choice([r.choice(SPACES) * r.randint(1, 4), r.choice(SPACES), r.choice("aé中1.!ש"), r.choice(NOT_QUITE_SPACES), " \n ", "\r\n"])
                   for _ in range(r.randint(2, 14)))


def cases(count, seed):
    r = random.Random(seed)
    code = [line for line in CODE.split("\n") if line]
    kinds = [lambda: _snip(r, ENGLISH), lambda: _salad(r), lambda: _chinese(r), lambda: _snip(r, CHINESE), lambda: _snip(r, OTHER),
             lambda: _snip(r, code), lambda: "\n".join(r.choice(code) for _ in range(r.randint(2, 5))), lambda: _run(r),
             lambda: _mixture(r), lambda: _any_characters(r), lambda: _specials(r), lambda: _contractions(r),
             lambda: _numbers(r), lambda: _spaces(r), lambda: "".join(r.choice(EMOJI) + r.choice(["", "", " "]) for _ in range(r.randint(1, 8)))]
    return [kinds[i % len(kinds)]() for i in range(count)]


def prose(size, seed):
    """About `size` bytes: English, Chinese and code in equal parts, in paragraphs, with fresh words throughout."""
    r = random.Random(seed)
    code = [line for line in CODE.split("\n") if line]
    out, total = [], 0
    share = [0, 0, 0]
    while total < size:
        kind = share.index(min(share))
        if kind == 0:
            text = " ".join(r.choice([_salad(r), r.choice(ENGLISH), r.choice(ENGLISH)]) for _ in range(4)) + "\n\n"
        elif kind == 1:
            text = "".join(r.choice([_chinese(r), r.choice(CHINESE), r.choice(CHINESE)]) for _ in range(4)) + "\n"
        else:
            text = "\n".join(r.choice(code).replace("fib", _word(r)).replace("name", _word(r)) for _ in range(6)) + "\n"
        share[kind] += len(text.encode())
        total += len(text.encode())
        out.append(text)
    return "".join(out)
