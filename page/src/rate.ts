const SPAN = 3_000; // ms that the rate is taken over
const EVERY = 250; // ms between looks, where a browser doesn't tell of each frame
const SILENT = 1_000; // ms without a frame after which the wait counts too

/** How many frames a second a video brings, whatever is done with them: of a camera its own rate. */
export class FrameRate {
  private seen: { at: number; count: number }[] = [];

  constructor(private readonly video: HTMLVideoElement) {
    if ("requestVideoFrameCallback" in video) this.onFrame();
    else setInterval(() => this.note(performance.now(), this.played()), EVERY);
  }

  /** Begin anew, as for another video. */
  forget(): void {
    this.seen = [];
  }

  /** Null until there are two frames to tell it from. */
  get perSecond(): number | null {
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    if (!first || !last || last.count <= first.count) return null;
    const now = performance.now();
    const end = now - last.at > SILENT ? now : last.at;
    return (1000 * (last.count - first.count)) / (end - first.at);
  }

  private onFrame(): void {
    this.video.requestVideoFrameCallback((at, { presentedFrames }) => {
      this.note(at, presentedFrames);
      this.onFrame();
    });
  }

  private played(): number {
    return this.video.getVideoPlaybackQuality().totalVideoFrames;
  }

  /** Frames are counted, not calls: a busy page is not called for each. */
  private note(at: number, count: number): void {
    const last = this.seen.at(-1);
    if (last && count < last.count) this.seen = []; // another video
    if (last?.count !== count) this.seen.push({ at, count });
    while (this.seen.length > 2 && at - (this.seen[0]?.at ?? at) > SPAN) this.seen.shift();
  }
}
