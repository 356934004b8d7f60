/** Shares of the upright picture's width and height, from its upper left corner. */
export interface FaceBox {
  left: number;
  top: number;
  width: number;
  height: number;
}
