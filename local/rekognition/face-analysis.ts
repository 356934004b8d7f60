import { createRequire, registerHooks } from 'node:module';
import path from 'node:path';
import {
  clip,
  enlarge,
  mirror,
  type Patch,
  patchQuality,
  type Rect,
  type RgbImage,
  samplePatch,
} from './pixels.ts';

/** One face as the local models see it. Coordinates are ratios of the image's width and height. */
export interface AnalysedFace {
  /** Within [0, 1]. */
  box: Rect;
  /** The detector's score, 0..1. */
  score: number;
  /** The 68 points of the iBUG scheme as x0, y0, x1, y1, ... */
  landmarks: Float32Array;
  /** 0..100, of the face's box. */
  brightness: number;
  sharpness: number;
  /** 128 numbers; the Euclidean distance between two of them says how unlike two faces are. */
  descriptor: Float32Array;
  attributes?: FaceAttributes;
}

interface FaceAttributes {
  /** Years. */
  age: number;
  gender: 'male' | 'female';
  genderProbability: number;
  expressions: Record<Expression, number>;
}

const EXPRESSIONS = ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'] as const;
export type Expression = (typeof EXPRESSIONS)[number];

const SSD_SIZE = 512;
/** Of the first detector: below it, what it sees is noise. */
const MIN_SCORE = 0.3;
const TINY_SIZE = 224;
const LANDMARK_SIZE = 112;
const DESCRIPTOR_SIZE = 150;
const MAX_FACES = 100;
/** Faces per run of the small networks: enough to save overhead, few enough to keep the memory small. */
const BATCH = 8;

/** The parts of tfjs and face-api that are used here; their own types need the browser's. */
interface Tensor {
  shape: number[];
  dataSync(): Float32Array;
  dispose(): void;
}
interface Net {
  loadFromDisk(folder: string): Promise<void>;
}
interface FaceApi {
  nets: {
    ssdMobilenetv1: Net & {
      locateFaces(input: Tensor, options: unknown): Promise<{ score: number; box: Rect }[]>;
    };
    tinyFaceDetector: Net & { forwardInput(input: unknown, size: number): Tensor };
    faceLandmark68Net: Net & { forwardInput(input: unknown): Tensor };
    faceRecognitionNet: Net & { forwardInput(input: unknown): Tensor };
    ageGenderNet: Net & { forwardInput(input: unknown): { age: Tensor; gender: Tensor } };
    faceExpressionNet: Net & { forwardInput(input: unknown): Tensor };
  };
  NetInput: new (tensors: Tensor[], batch: boolean) => unknown;
  SsdMobilenetv1Options: new (options: { minConfidence: number; maxResults: number }) => unknown;
}
interface TfjsCore {
  Tensor: { prototype: object };
  getKernel(name: string, backend: string): Kernel;
  unregisterKernel(name: string, backend: string): void;
  registerKernel(kernel: Kernel): void;
  reshape(tensor: Tensor, shape: number[]): Tensor;
  cast(tensor: Tensor, type: 'float32' | 'int32'): Tensor;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tensor3d(data: Float32Array, shape: [number, number, number], type: 'float32'): Tensor;
}

interface TensorInfo {
  shape: number[];
  dtype: string;
}
interface Kernel {
  kernelFunc(call: {
    inputs: TensorInfo[];
    attrs: { axis: number };
    backend: {
      makeOutput(shape: number[], type: string): TensorInfo;
      typedArrayFromHeap(tensor: TensorInfo): Float32Array;
    };
  }): TensorInfo;
}

export interface FaceAnalyser {
  /** Finds the faces of an image, with a descriptor each; with age, gender and expressions if `attributes`. */
  analyse(image: RgbImage, attributes: boolean): Promise<AnalysedFace[]>;
  /** Runs the detector once: its first run takes about half a second more than the next. */
  warmUp(): Promise<void>;
}

/**
 * face-api asks for all of tfjs, a quarter of a gigabyte with backends of a browser's and a layers API, and uses its core.
 */
function giveTfjsCoreForTfjs(): void {
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      nextResolve(specifier === '@tensorflow/tfjs' ? '@tensorflow/tfjs-core' : specifier, context),
  });
}

/** Lets operations be called as methods of a tensor, as face-api calls them; tfjs does it in a part that is not the core's. */
function registerChainedOps(tf: TfjsCore): void {
  const methods = tf.Tensor.prototype as Record<string, unknown>;
  for (const [name, operation] of Object.entries(tf as unknown as Record<string, unknown>)) {
    if (typeof operation === 'function' && !(name in methods)) {
      methods[name] = function (this: Tensor, ...rest: unknown[]) {
        return operation(this, ...rest);
      };
    }
  }
  for (const name of ['as1D', 'as2D', 'as3D', 'as4D']) {
    methods[name] = function (this: Tensor, ...shape: number[]) {
      return tf.reshape(this, name === 'as1D' ? [-1] : shape);
    };
  }
  methods.toFloat = function (this: Tensor) {
    return tf.cast(this, 'float32');
  };
  methods.toInt = function (this: Tensor) {
    return tf.cast(this, 'int32');
  };
}

/**
 * tfjs joins tensors along their last axis with one copy for each pixel and tensor. face-api has the channels' means joined so
 * for every run of a network, which took an eighth of all the time that an image takes.
 */
function joinChannelsAtOnce(tf: TfjsCore): void {
  const concat = tf.getKernel('Concat', 'wasm');
  tf.unregisterKernel('Concat', 'wasm');
  tf.registerKernel({
    ...concat,
    kernelFunc(call) {
      const { inputs, attrs, backend } = call;
      const last = inputs[0]!.shape.length - 1;
      if (
        attrs.axis !== last ||
        inputs.some(({ shape, dtype }) => shape[last] !== 1 || dtype !== 'float32')
      ) {
        return concat.kernelFunc(call);
      }
      const output = backend.makeOutput([...inputs[0]!.shape.slice(0, -1), inputs.length], 'float32');
      const joined = backend.typedArrayFromHeap(output);
      for (const [channel, input] of inputs.entries()) {
        const values = backend.typedArrayFromHeap(input);
        for (let i = 0; i < values.length; i++) {
          joined[i * inputs.length + channel] = values[i]!;
        }
      }
      return output;
    },
  });
}

/** Loads tfjs on WASM and the models (about a second, 30 MB on disk). Inference blocks the thread it runs on. */
export async function loadFaceAnalyser(): Promise<FaceAnalyser> {
  giveTfjsCoreForTfjs();
  const require = createRequire(import.meta.url);
  const tf = require('@tensorflow/tfjs-core') as TfjsCore;
  registerChainedOps(tf);
  const wasm = require('@tensorflow/tfjs-backend-wasm') as {
    setWasmPaths(folder: string, platformFetch: boolean): void;
  };
  // The package's own main needs tfjs-node, a native build.
  const faceApi = require('@vladmandic/face-api/dist/face-api.node-wasm.js') as FaceApi;
  wasm.setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`, false);
  await tf.setBackend('wasm');
  await tf.ready();
  joinChannelsAtOnce(tf);
  const models = path.join(path.dirname(require.resolve('@vladmandic/face-api/package.json')), 'model');
  for (const net of Object.values(loadedNets(faceApi))) {
    await net.loadFromDisk(models);
  }
  return createAnalyser(tf, faceApi);
}

function loadedNets({ nets }: FaceApi): Record<string, Net> {
  const { ssdMobilenetv1, tinyFaceDetector, faceLandmark68Net, faceRecognitionNet } = nets;
  const { ageGenderNet, faceExpressionNet } = nets;
  return {
    ssdMobilenetv1,
    tinyFaceDetector,
    faceLandmark68Net,
    faceRecognitionNet,
    ageGenderNet,
    faceExpressionNet,
  };
}

function createAnalyser(tf: TfjsCore, { nets, NetInput, SsdMobilenetv1Options }: FaceApi): FaceAnalyser {
  const tensor = (patch: Patch, size: number) => tf.tensor3d(patch.data, [size, size, 3], 'float32');

  /** Runs a network over squares of one size; one row of numbers per square and output. */
  function run(patches: Patch[], size: number, net: (input: unknown) => Tensor[]): Float32Array[][] {
    const rows: Float32Array[][] = [];
    for (let start = 0; start < patches.length; start += BATCH) {
      const tensors = patches.slice(start, start + BATCH).map((patch) => tensor(patch, size));
      const outputs = net(new NetInput(tensors, true));
      const data = outputs.map((output) => output.dataSync());
      for (const [i] of tensors.entries()) {
        rows.push(
          data.map((all) =>
            all.slice((i * all.length) / tensors.length, ((i + 1) * all.length) / tensors.length),
          ),
        );
      }
      for (const used of [...tensors, ...outputs]) {
        used.dispose();
      }
    }
    return rows;
  }

  /** Boxes that the SSD detector sees in a region, in pixels of the image. */
  async function candidates(image: RgbImage, region: Rect, minConfidence: number) {
    const patch = samplePatch(image, region, SSD_SIZE, 'end');
    const input = tensor(patch, SSD_SIZE);
    const options = new SsdMobilenetv1Options({ minConfidence, maxResults: MAX_FACES });
    const detections = await nets.ssdMobilenetv1.locateFaces(input, options);
    input.dispose();
    return detections.flatMap(({ score, box }) => {
      const from = patch.toImage(box.x / SSD_SIZE, box.y / SSD_SIZE);
      const to = patch.toImage((box.x + box.width) / SSD_SIZE, (box.y + box.height) / SSD_SIZE);
      const rect = clip({ x: from.x, y: from.y, width: to.x - from.x, height: to.y - from.y }, image);
      return rect.width > 1 && rect.height > 1 ? [{ score, rect }] : [];
    });
  }

  /** What a second, independent detector says of each box, seen with its surroundings in a region: 0..1. */
  function secondOpinions(image: RgbImage, boxes: Rect[], region: Rect): number[] {
    const patches = boxes.map((box) => samplePatch(image, clip(enlarge(box, 2), region), TINY_SIZE, 'end'));
    const outputs = run(patches, TINY_SIZE, (input) => [
      nets.tinyFaceDetector.forwardInput(input, TINY_SIZE),
    ]);
    // Per cell and anchor: x, y, width, height and the score's logit.
    return outputs.map(([cells]) => {
      let best = Number.NEGATIVE_INFINITY;
      for (let i = 4; i < cells!.length; i += 5) {
        best = Math.max(best, cells![i]!);
      }
      return 1 / (1 + Math.exp(-best));
    });
  }

  async function detect(image: RgbImage): Promise<{ score: number; rect: Rect }[]> {
    const whole = { x: 0, y: 0, width: image.width, height: image.height };
    const found = await confirmed(image, whole);
    // A face that fills the frame is missed; with a margin around it, it is not.
    return found.length > 0 ? found : confirmed(image, enlarge(whole, 2.5));
  }

  /** Faces that both detectors see: the less sure the first is, the surer the second has to be. */
  async function confirmed(image: RgbImage, region: Rect) {
    const boxes = await candidates(image, region, MIN_SCORE);
    const opinions = secondOpinions(
      image,
      boxes.map(({ rect }) => rect),
      region,
    );
    return boxes.flatMap(({ score, rect }, i) => {
      const opinion = opinions[i]!;
      return opinion >= Math.max(0.1, 2 * (0.55 - score)) ? [{ score: Math.max(score, opinion), rect }] : [];
    });
  }

  async function analyse(image: RgbImage, withAttributes: boolean): Promise<AnalysedFace[]> {
    const detections = await detect(image);
    const facePatches = detections.map(({ rect }) => samplePatch(image, rect, LANDMARK_SIZE, 'both'));
    const landmarks = run(facePatches, LANDMARK_SIZE, (input) => [
      nets.faceLandmark68Net.forwardInput(input),
    ]).map(([points], i) => pointsInImage(facePatches[i]!, points!));
    const descriptors = describe(
      landmarks.map((points) => samplePatch(image, alignedSquare(points, image), DESCRIPTOR_SIZE, 'both')),
    );
    const attributes = withAttributes
      ? analyseAttributes(
          landmarks.map((points) => samplePatch(image, around(points, image), LANDMARK_SIZE, 'both')),
        )
      : [];
    return detections.map(({ score, rect }, i) => ({
      box: {
        x: rect.x / image.width,
        y: rect.y / image.height,
        width: rect.width / image.width,
        height: rect.height / image.height,
      },
      score,
      landmarks: landmarks[i]!.map((n, axis) => n / (axis % 2 === 0 ? image.width : image.height)),
      ...patchQuality(facePatches[i]!),
      descriptor: descriptors[i]!,
      ...(attributes[i] && { attributes: attributes[i] }),
    }));
  }

  /** The mean of what the network says of a face and of its mirror image, which tells people apart better than either. */
  function describe(faces: Patch[]): Float32Array[] {
    const [straight, mirrored] = [faces, faces.map(mirror)].map((patches) =>
      run(patches, DESCRIPTOR_SIZE, (input) => [nets.faceRecognitionNet.forwardInput(input)]),
    );
    return faces.map((_, i) => straight![i]![0]!.map((value, n) => (value + mirrored![i]![0]![n]!) / 2));
  }

  function analyseAttributes(patches: Patch[]): FaceAttributes[] {
    const people = run(patches, LANDMARK_SIZE, (input) => {
      const { age, gender } = nets.ageGenderNet.forwardInput(input);
      return [age, gender];
    });
    const moods = run(patches, LANDMARK_SIZE, (input) => [nets.faceExpressionNet.forwardInput(input)]);
    return patches.map((_, i) => {
      const [age, gender] = people[i]!;
      const male = gender![0]!;
      return {
        age: age![0]!,
        gender: male > 0.5 ? 'male' : 'female',
        genderProbability: Math.max(male, 1 - male),
        expressions: Object.fromEntries(EXPRESSIONS.map((name, n) => [name, moods[i]![0]![n]!])) as Record<
          Expression,
          number
        >,
      };
    });
  }

  async function warmUp(): Promise<void> {
    const blank = { width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) };
    await candidates(blank, { x: 0, y: 0, width: 64, height: 64 }, MIN_SCORE);
  }

  return { analyse, warmUp };
}

/** The landmark network answers in ratios of the face's box, which the patch holds centred. */
function pointsInImage(patch: Patch, points: Float32Array): Float32Array {
  const result = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    const { x, y } = patch.toImage(points[i]!, points[i + 1]!);
    result[i] = x;
    result[i + 1] = y;
  }
  return result;
}

/** The mean of the points `from` up to, not including, `to`. */
export function meanPoint(points: Float32Array, from: number, to: number): { x: number; y: number } {
  let x = 0;
  let y = 0;
  for (let i = from; i < to; i++) {
    x += points[2 * i]!;
    y += points[2 * i + 1]!;
  }
  return { x: x / (to - from), y: y / (to - from) };
}

/** The square, in the proportions that dlib's recognition network was trained on. */
function alignedSquare(points: Float32Array, image: RgbImage): Rect {
  const centres = [meanPoint(points, 36, 42), meanPoint(points, 42, 48), meanPoint(points, 48, 68)] as const;
  const [leftEye, rightEye, mouth] = centres;
  const toMouth = (p: { x: number; y: number }) => Math.hypot(mouth.x - p.x, mouth.y - p.y);
  const size = Math.max(2, Math.floor((toMouth(leftEye) + toMouth(rightEye)) / 2 / 0.45));
  const x = Math.floor(Math.max(0, (leftEye.x + rightEye.x + mouth.x) / 3 - 0.5 * size));
  const y = Math.floor(Math.max(0, (leftEye.y + rightEye.y + mouth.y) / 3 - 0.43 * size));
  return atLeastOnePixel({ x, y, width: size, height: size }, image);
}

/** The points' bounding box with a tenth more on each side. */
function around(points: Float32Array, image: RgbImage): Rect {
  const xs = points.filter((_, i) => i % 2 === 0);
  const ys = points.filter((_, i) => i % 2 === 1);
  const x = Math.min(...xs);
  const y = Math.min(...ys);
  const box = { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
  return atLeastOnePixel(enlarge(box, 1.2), image);
}

function atLeastOnePixel(rect: Rect, image: RgbImage): Rect {
  const { x, y, width, height } = clip(rect, image);
  return {
    x: Math.min(x, image.width - 1),
    y: Math.min(y, image.height - 1),
    width: Math.max(1, width),
    height: Math.max(1, height),
  };
}
