import { engine } from "#engine";
import { Busy, isAbort, Lost, Refused, type Seen, withPicture } from "./engine";
import { byId, overlapping, put, sleep } from "./dom";
import { glance, isStill } from "./frame";
import { History } from "./history";
import { isKey, languageOf, onLanguage, said, t } from "./i18n";
import { Meaning } from "./meaning";
import { Question } from "./question";
import { FrameRate } from "./rate";
import { Remember } from "./remember";
import { liveModel, liveModelChanged, serverBack } from "./offered";
import { change, settings } from "./settings";
import { fillSources, NoPicture, openCamera, openScreen, play, release, stayAwake, stop } from "./source";
import { announceCaption, onVoices, silence, speak, voices } from "./voice";

const SLOW = 5_000; // ms without a word before the page says that it takes long
const PAUSE = 120; // ms between looks at a picture that does not move
const OFTEN = 500; // ms between looks at the rate of the pictures

type State =
  | "idle" | "starting" | "running" | "paused" | "ended"
  | "refused" | "absent" | "taken" | "insecure" | "broken" | "failed";

/** The camera's view: one loop looks at the newest frame, asks about it, and looks again. */
export class Live {
  private readonly stage = byId("stage", HTMLElement);
  private readonly video = byId("video", HTMLVideoElement);
  private readonly caption = byId("caption", HTMLElement);
  private readonly source = byId("source", HTMLSelectElement);
  private readonly go = byId("go", HTMLButtonElement);
  private readonly history = new History();
  private readonly remember = new Remember();
  private readonly meaning = new Meaning();
  private readonly rate = new FrameRate(this.video);
  private readonly question = new Question(() => this.askAnew());
  private state: State = "idle";
  private note = ""; // what the stage says instead of its state: slow, busy, an error
  private facing: "environment" | "user" = "environment";
  private bySide = true; // the camera is chosen by the side it looks to, not by its name
  private cameras = 1;
  private readonly begin = overlapping(); // of what a person starts: what still waits then must end
  private opened = ""; // the source that the video shows; "" = none
  private asking: AbortController | null = null;
  private seen: Uint8Array | null = null; // the frame that was asked about
  private began = 0; // when pictures first ran

  constructor() {
    const on = (id: string, act: () => void): void =>
      byId(id, HTMLButtonElement).addEventListener("click", act);
    this.go.addEventListener("click", () => void (this.state === "running" ? this.pause() : this.run()));
    on("once", () => void this.once());
    on("flip", () => this.flip());
    on("speak", () => this.setSpeaking(!settings.speak));
    this.source.addEventListener("change", () => this.sourceChosen());
    const file = byId("video-file", HTMLInputElement);
    file.addEventListener("change", () => {
      this.opened = "";
      if (file.files?.length) void this.run();
    });
    this.video.addEventListener("ended", () => this.end());
    onVoices(() => this.showSpeaking());
    onLanguage(() => {
      this.show(this.state, this.note);
      void this.listCameras();
    });
    if ("mediaDevices" in navigator) {
      navigator.mediaDevices.addEventListener("devicechange", () => void this.listCameras());
    }
  }

  /** Start or go on, until `pause`. */
  private async run(): Promise<void> {
    const isNewest = this.startAnew();
    if (!(await this.open(isNewest))) return;
    this.show("running");
    const isOn = (): boolean => this.state === "running" && isNewest();
    void stayAwake(isOn);
    void this.showRate(isOn);
    while (isOn()) {
      const look = glance(this.video);
      const asked = look !== null && this.question.prompt !== "";
      if (!asked || (this.seen !== null && isStill(look, this.seen))) await sleep(PAUSE);
      else await this.ask(look, engine.frame(this.video));
    }
  }

  /** One frame, held until the answer is there. */
  private async once(): Promise<void> {
    if (this.state === "running") this.pause();
    const isNewest = this.startAnew();
    if (!(await this.open(isNewest))) return;
    let look = glance(this.video);
    while (look === null && isNewest()) {
      await sleep(PAUSE);
      look = glance(this.video);
    }
    if (look === null || !isNewest()) return;
    this.video.pause();
    this.show("paused", t("state.waiting"));
    const frame = engine.frame(this.video);
    this.release();
    while (isNewest() && (await this.ask(look, frame)) === "again");
    if (isNewest() && this.state === "paused") this.show("paused");
  }

  private pause(): void {
    this.asking?.abort();
    this.video.pause();
    silence();
    this.show("paused");
    this.release();
  }

  /** What is still on its way is for nobody now. */
  private startAnew(): () => boolean {
    this.asking?.abort();
    this.showCaption(""); // it was about another picture
    return this.begin();
  }

  /** A camera's light goes out while nobody looks; the screen would have to be chosen again. */
  private release(): void {
    if (this.opened === "screen" || this.opened === "file") return;
    this.track()?.stop();
    this.opened = "";
  }

  private end(): void {
    this.opened = "";
    if (this.state !== "running") return; // a camera that was let go
    this.asking?.abort();
    this.show("ended");
  }

  /** Something else is asked: drop what is being answered and look again. */
  private askAnew(): void {
    this.seen = null;
    this.meaning.forget();
    this.showCaption(""); // it answered another question
    this.asking?.abort();
  }

  /** The other side of a phone; where cameras have no side, the next of them. */
  private flip(): void {
    const side = this.track()?.getSettings().facingMode;
    this.bySide = side !== undefined;
    if (side !== undefined) this.facing = side === "user" ? "environment" : "user";
    else this.source.selectedIndex = (this.source.selectedIndex + 1) % this.cameras;
    this.reopen();
  }

  private track(): MediaStreamTrack | undefined {
    const stream = this.video.srcObject;
    return stream instanceof MediaStream ? stream.getVideoTracks()[0] : undefined;
  }

  private sourceChosen(): void {
    this.bySide = false;
    byId("video-choose", HTMLElement).hidden = this.source.value !== "file";
    this.reopen();
  }

  /** Let go of what is shown; go on with the new source if pictures were running. */
  private reopen(): void {
    this.startAnew();
    const wasRunning = this.state === "running";
    stop(this.video);
    this.opened = "";
    this.show("idle");
    if (wasRunning && this.source.value !== "file") void this.run();
  }

  /**
   * Make the video show the chosen source; false when there is none, and the stage says why, or when
   * something else was started meanwhile.
   */
  private async open(isNewest: () => boolean): Promise<boolean> {
    this.seen = null;
    const wanted = this.source.value || "camera";
    if (this.opened === wanted) {
      await this.video.play().catch(() => {});
      return isNewest();
    }
    const file = byId("video-file", HTMLInputElement).files?.[0];
    if (wanted === "file" && !file) {
      byId("video-file", HTMLInputElement).click();
      return false;
    }
    this.show("starting");
    this.rate.forget();
    this.began ||= performance.now();
    try {
      const found = wanted === "file" && file ? file : await this.stream(wanted);
      if (!isNewest()) {
        if (found instanceof MediaStream) release(found);
        return false;
      }
      await play(this.video, found);
    } catch (error) {
      if (!isNewest()) return false;
      stop(this.video);
      if (error instanceof NoPicture) this.show(error.reason, "", error.words);
      else this.show("failed", "", String(error));
      return false;
    }
    if (!isNewest()) return false;
    await this.listCameras();
    if (!isNewest()) return false;
    this.opened = this.source.value || "camera";
    return true;
  }

  private async stream(wanted: string): Promise<MediaStream> {
    const id = wanted === "camera" || this.bySide ? "" : wanted;
    const stream = await (wanted === "screen" ? openScreen() : openCamera(id, this.facing));
    for (const track of stream.getVideoTracks()) track.addEventListener("ended", () => this.end());
    return stream;
  }

  private async listCameras(): Promise<void> {
    this.cameras = await fillSources(this.source);
    const used = this.track()?.getSettings().deviceId;
    const isCamera = [...this.source.options].some((option) => option.value === used);
    if (used && isCamera) this.source.value = used;
    byId("flip", HTMLElement).hidden = this.cameras < 2;
  }

  /** Seconds since the start, or in the video when it is a file. */
  private now(): number {
    if (this.opened === "file") return this.video.currentTime;
    return (performance.now() - this.began) / 1000;
  }

  /** Ask about a frame; "again" when the server could not answer and may now. */
  private async ask(look: Uint8Array, frame: Seen): Promise<"again" | void> {
    this.seen = look;
    this.asking = new AbortController();
    const [at, from, start] = [new Date(), this.now(), performance.now()];
    const waiting = setInterval(() => this.tellSlow(start), 1000);
    const shown = this.caption.textContent ?? "";
    const model = liveModel();
    const onText = (text: string): void => {
      clearInterval(waiting);
      this.caption.dataset.old = "false";
      if (this.note) this.show(this.state);
      // The same words again don't flicker: what is shown stays while it begins like the new text.
      if (!shown.startsWith(text)) this.showCaption(text);
    };
    try {
      const messages = [withPicture(frame, this.question.prompt)];
      const answer = await engine.chat(model, messages, onText, this.asking.signal);
      const caption = answer.text.trim();
      const unsure = answer.doubt !== null;
      this.showCaption(caption);
      this.showFigures(answer.firstToken, unsure);
      this.tell(caption, unsure);
      if (!caption) return;
      this.history.add({ text: caption, at, from, to: this.now(), unsure });
      this.remember.keep(frame, caption);
    } catch (error) {
      clearInterval(waiting); // before what may wait for a server
      return await this.failed(error, model);
    } finally {
      clearInterval(waiting);
    }
  }

  private async failed(error: unknown, model: string): Promise<"again" | void> {
    this.seen = null;
    if (isAbort(error)) return;
    // The quick model may have found no room in memory: the other one answers, then.
    if (error instanceof Refused && (await liveModelChanged(model).catch(() => false))) return "again";
    if (error instanceof Lost) {
      this.showCaption("");
      byId("figures", HTMLElement).hidden = true;
      const note = t("state.lost");
      this.show(this.state, note, t("state.lost.help"));
      await serverBack();
      if (this.note === note) this.show(this.state);
      return "again";
    }
    if (error instanceof Busy) {
      this.show(this.state, t("state.busy"));
      await sleep(error.wait * 1000);
      return "again";
    }
    this.video.pause();
    const { text, lang } = said(error instanceof Error ? error.message : String(error));
    this.show("failed", text, "", lang);
    this.release();
  }

  private tellSlow(start: number): void {
    const waited = performance.now() - start;
    if (waited < SLOW) return;
    const seconds = Math.round(waited / 1000);
    const old = !this.caption.hidden;
    this.caption.dataset.old = String(old);
    this.show(this.state, t("state.slow"), t(old ? "state.slow.old" : "state.slow.help", { seconds }));
  }

  private tell(text: string, unsure: boolean): void {
    if (!text || !this.meaning.isNew(text)) return;
    announceCaption(text, unsure);
    if (settings.speak) speak(text, ...(unsure ? [t("unsure.short")] : []));
  }

  private showCaption(text: string): void {
    this.caption.hidden = text === "";
    this.caption.dataset.old = "false";
    if (text === "") byId("doubt", HTMLElement).hidden = true;
    this.caption.lang = languageOf(text);
    if (this.caption.textContent !== text) this.caption.textContent = text;
  }

  private showFigures(firstToken: number, unsure: boolean): void {
    byId("figures", HTMLElement).hidden = false;
    byId("doubt", HTMLElement).hidden = !unsure;
    byId("ttft", HTMLElement).textContent = t("live.ttft", { time: firstToken.toFixed(2) });
  }

  /** How many pictures a second come, however many of them are put into words. */
  private async showRate(isOn: () => boolean): Promise<void> {
    const shown = byId("rate", HTMLElement);
    while (isOn()) {
      const rate = this.rate.perSecond;
      shown.textContent = rate === null ? "" : t("live.rate", { rate: rate.toFixed(1) });
      await sleep(OFTEN);
    }
    if (this.state !== "running") shown.textContent = "";
  }

  private setSpeaking(on: boolean): void {
    change({ speak: on });
    this.showSpeaking();
    if (!on) silence();
  }

  /** Nobody is offered a voice that isn't there. */
  private showSpeaking(): void {
    const able = voices().length > 0;
    const button = byId("speak", HTMLButtonElement);
    button.disabled = !able;
    button.setAttribute("aria-pressed", String(able && settings.speak));
    byId("speak-none", HTMLElement).hidden = able;
  }

  /**
   * The stage's state, in a word for the style sheet and in a sentence for people. Screen readers read
   * the sentence out, so what changes every second stands in `help`.
   */
  private show(state: State, note = "", help = "", lang = ""): void {
    this.state = state;
    this.note = note;
    this.stage.dataset.state = state;
    this.stage.dataset.note = String(note !== "");
    this.go.textContent = t(state === "running" ? "live.pause" : "live.start");
    const text = state === "running" ? note : note || t(`state.${state}`);
    const key = `state.${state}.help`;
    put(byId("stage-text", HTMLElement), { text, lang });
    byId("stage-help", HTMLElement).textContent = isKey(key) && !note ? t(key) : help;
  }
}
