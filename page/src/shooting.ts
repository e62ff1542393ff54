import { byId } from "./dom";
import { isKey, t } from "./i18n";
import { NoPicture, openCamera, play, release, stop } from "./source";

const asBlob = (video: HTMLVideoElement): Promise<Blob | null> => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
};

/** Let the person take one picture with the camera; null when nothing came of it. */
export async function shoot(): Promise<Blob | null> {
  const dialog = byId("shooting", HTMLDialogElement);
  const video = byId("shooting-video", HTMLVideoElement);
  const button = byId("shooting-go", HTMLButtonElement);
  const error = byId("shooting-error", HTMLElement);
  error.hidden = true;
  button.disabled = true;
  dialog.showModal();
  const pressed = new Promise<Blob | null>((done) => {
    button.onclick = () => void asBlob(video).then(done);
    byId("shooting-cancel", HTMLButtonElement).onclick = () => done(null);
    dialog.onclose = () => done(null); // Escape
  });
  let over = false;
  const start = async (): Promise<void> => {
    try {
      const stream = await openCamera("", "environment");
      if (over) return release(stream); // nobody waited for it
      await play(video, stream);
      button.disabled = false;
      button.focus();
    } catch (problem) {
      if (over) return;
      const reason = `state.${problem instanceof NoPicture ? problem.reason : "failed"}`;
      const help = `${reason}.help`;
      error.textContent = [reason, help].filter(isKey).map((key) => t(key)).join(". ");
      error.hidden = false;
    }
  };
  void start();
  const picture = await pressed;
  over = true;
  stop(video);
  dialog.close();
  return picture;
}
