/** What pictures of the page show as on an ordinary computer. */

/** The fake camera is called by the path of its file, and this browser has no voice. */
export function nameCamera(): void {
  const voice = { name: "Ann", lang: "en-GB", voiceURI: "ann", default: true, localService: true };
  SpeechSynthesis.prototype.getVoices = () => [voice];
  Object.defineProperty(MediaDeviceInfo.prototype, "label", { get: () => "Integrated camera" });
}
