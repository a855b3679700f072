// A moving picture that an encoder has work with: the browser's own fake camera is too plain to fill a link.
import { closeSync, openSync, writeSync } from 'node:fs';

const SECONDS = 2;

/** Pseudo-random bytes, the same each time. */
function noise(length) {
  let state = 0x2545f491;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

/** Writes a YUV4MPEG2 file: soft blotches that drift, under grain that changes with every frame. */
export function writeClip(path, width, height, rate) {
  const file = openSync(path, 'w');
  writeSync(file, `YUV4MPEG2 W${width} H${height} F${rate}:1 Ip A1:1 C420jpeg\n`);
  const grain = noise(1 << 20);
  const [luma, chroma] = [new Uint8Array(width * height), new Uint8Array((width * height) / 2).fill(128)];
  for (let frame = 0; frame < rate * SECONDS; frame++) {
    const shift = Math.sin((frame / (rate * SECONDS)) * 2 * Math.PI) * 120;
    let at = (frame * 7919) % 65536;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const blotch = 60 * Math.sin((x + shift) / 17) * Math.cos((y - shift / 2) / 23);
        luma[y * width + x] = 128 + blotch + (grain[at++ & 0xfffff] >> 4);
      }
    }
    for (const part of ['FRAME\n', luma, chroma]) writeSync(file, part);
  }
  closeSync(file);
}
