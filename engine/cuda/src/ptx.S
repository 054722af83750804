/* The kernels' PTX as text with a final zero. */
  .section .rodata
  .global sd_ptx
  .hidden sd_ptx
sd_ptx:
  .incbin "kernels.ptx"
  .byte 0
  .section .note.GNU-stack, "", @progbits
