/** Chinese queries in English, word by word: galago/text/chinese.py, with the same list of words. */

import { inEnglish, type Kind, type Token } from "./clause";

/** A query in English, and the parts of it that nobody here understands. */
export interface English {
  text: string;
  unknown: string[];
}

/** Of "上面,上:on the …": the tokens by their Chinese. */
function words(kind: Kind, table: string): [string, Token][] {
  return table.split("  ").flatMap((entry) => {
    const [many = "", text = ""] = entry.split(":");
    return many.split(",").map((one): [string, Token] => [one, { kind, text }]);
  });
}

const GRAMMAR = new Map([
  ...words("of", "的,之:"),
  ...words("at", "在,位于,正在:"),
  ...words("with", "有,带,带着,带有:with"),
  ...words("doing", "没有,没,无:without"),
  ...words("word", "和,与,跟,及,以及,还有:and  或,或者:or"),
  ...words(
    "place",
    "上,上面,之上:on the  里,里面,中,内,里边,当中:in the  下,下面,底下:under the  " +
      "旁,旁边,边上:beside the  前,前面:in front of the  后,后面,背后:behind the  " +
      "附近:near the  外,外面:outside the",
  ),
  ...words(
    "count",
    "一,一个:a  二,两,俩:two  三:three  四:four  五:five  六:six  七:seven  八:eight  九:nine  " +
      "十:ten  几:several  许多,很多,好多,多:many  一些:some  这,这个:this  那,那个:that",
  ),
]);
const SENSELESS = [GRAMMAR.get("和"), GRAMMAR.get("或"), GRAMMAR.get("没有")]; // by themselves
// Behind a count: those that are things themselves, and those that only count.
const HOLDERS = new Map(Object.entries({
  杯: "cup of", 瓶: "bottle of", 碗: "bowl of", 盘: "plate of", 盒: "box of", 袋: "bag of", 束: "bunch of",
  群: "group of", 片: "slice of", 堆: "pile of", 篮: "basket of", 双: "pair of", 对: "pair of", 罐: "can of",
  壶: "pot of", 排: "row of", 串: "string of",
}));
const MEASURES = new Set(
  "个個只隻条條张張件把朵辆輛头頭匹座位名本台架艘栋棟间間幅颗顆粒块塊根支枝株棵顶頂套副口家场場道所面扇盏盞滴份种種",
);
// What people say around a query, and what a photo is called at its end.
const ASKED =
  /^(请|麻烦|帮我|帮忙|给我|替我|我想要|我想|我要|想要|查找|寻找|搜索|搜一下|搜|找一下|找出|找|看看|显示|有没有|所有的?)+/;
const PHOTOS = /(的?(照片|图片|相片|图像|影像)|的[相图照])?[吗呢]*$/;
const EMPTY = new Set("我你您他她它们咱了着著过過地得們就都很也正是被把将將");
const LATIN = /^([A-Za-zÀ-ɏ]+(?:['’-][A-Za-zÀ-ɏ]+)*|[0-9]+)/;
const HAN = /[㐀-䶿一-鿿豈-﫿\u{20000}-\u{3ffff}]/u;
const OTHER_WRITING = /[\u3041-\u30ff\uac00-\ud7a3\u1100-\u11ff]/; // kana, hangul
const BETWEEN = /[,.;:!?、。·…\n()[\]{}《》<>「」“”"|/]+/;
const LONGEST = 6;
const MOST = 2000; // characters; more is no query

/** Whether it has Chinese characters, and none of Japanese's or Korean's own. */
export const isChinese = (text: string): boolean => HAN.test(text) && !OTHER_WRITING.test(text);

export class Lexicon {
  private readonly words: ReadonlyMap<string, string>;
  private readonly simplified: ReadonlyMap<string, string>;

  /** `file`: galago/data/zh-en.txt. */
  constructor(file: string) {
    const lines = file.split("\n");
    const [pairs = "", ...entries] = lines.slice(lines.findLastIndex((line) => line.startsWith("# ")) + 1);
    const letters = [...pairs];
    this.simplified = new Map(letters.flatMap((one, at): [string, string][] => (at % 2 ? [] : [[one, letters[at + 1] ?? one]])));
    this.words = new Map(entries.filter(Boolean).map((line): [string, string] => {
      const tab = line.indexOf("\t");
      return [line.slice(0, tab), line.slice(tab + 1)];
    }));
  }

  /** In English as far as the list goes; null for what isn't Chinese, or when no word of it is known. */
  wordByWord(text: string): English | null {
    if (!isChinese(text)) return null;
    const clauses: string[] = [];
    const unknown: string[] = [];
    let known = false;
    for (const part of this.plain([...text].slice(0, MOST).join("")).split(BETWEEN)) {
      const clause = part.trim().replace(ASKED, "").replace(PHOTOS, "") || part.trim();
      const tokens = [...this.tokens([...clause])];
      unknown.push(...tokens.flatMap((token) => (token.kind === "unknown" ? [token.text] : [])));
      known ||= tokens.some((token) => ["word", "doing"].includes(token.kind) && !isSenseless(token));
      const english = inEnglish(tokens);
      if (english) clauses.push(english);
    }
    if (!known || !clauses.length) return null;
    return { text: clauses.join(", "), unknown: [...new Set(unknown)] };
  }

  /** Letters of full width as others, traditional characters as simplified, nothing unseen. */
  private plain(text: string): string {
    const shown = text.normalize("NFKC").replace(/[\p{Cc}\p{Zs}]/gu, " ").replace(/[\p{Cf}\p{Mn}]/gu, "");
    return Array.from(shown, (one) => this.simplified.get(one) ?? one).join("");
  }

  private *tokens(clause: readonly string[]): Generator<Token> {
    const low = folded(clause);
    let [at, unknown, counted] = [0, "", false];
    while (at < low.length) {
      const one = low[at] ?? "";
      let [found, length] = this.longest(low, at);
      const latin = found ? null : LATIN.exec(clause.slice(at).join(""));
      if (counted && HOLDERS.has(one) && length <= 1) [found, length] = [{ kind: "holder", text: HOLDERS.get(one)! }, 1];
      else if (counted && MEASURES.has(one) && length <= 1) [found, length] = [null, 1];
      else if (latin) [found, length] = [named(latin[0]), [...latin[0]].length];
      else if (!found && (/\s/.test(one) || EMPTY.has(one))) length = 1;
      else if (!found) {
        [unknown, at, counted] = [unknown + one, at + 1, false];
        continue;
      }
      if (unknown) yield { kind: "unknown", text: unknown };
      unknown = "";
      if (found) yield found;
      counted = found?.kind === "count";
      at += length;
    }
    if (unknown) yield { kind: "unknown", text: unknown };
  }

  /** The longest word that begins here, and how long it is. */
  private longest(letters: readonly string[], at: number): [Token | null, number] {
    for (let length = Math.min(LONGEST, letters.length - at); length > 0; length--) {
      const part = letters.slice(at, at + length).join("");
      const grammar = GRAMMAR.get(part);
      if (grammar) return [grammar, length];
      const english = this.words.get(part);
      if (english) return [{ kind: english.startsWith("~") ? "doing" : "word", text: english.replace(/^~/, "") }, length];
    }
    return [null, 0];
  }
}

const isSenseless = (token: Token): boolean =>
  SENSELESS.some((one) => one?.kind === token.kind && one.text === token.text);

/** In small letters, one for each; as it is where that takes more of them (ß). */
function folded(letters: readonly string[]): readonly string[] {
  const low = letters.map((one) => (/[\p{L}\p{M}]/u.test(one) ? one.toUpperCase().toLowerCase() : one));
  return low.every((one) => [...one].length === 1) ? low : letters;
}

/** Latin letters as a word; a number that has a name by it. */
function named(text: string): Token {
  if (!/^[0-9]/.test(text)) return { kind: "word", text };
  const names = ["zero", "one", ...Array.from("二三四五六七八九十", (one) => GRAMMAR.get(one)!.text)];
  return { kind: "count", text: (text.length < 3 && names[Number(text)]) || text };
}
