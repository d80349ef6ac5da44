/* Written by tools/coefficients.py: lowest degree first. */
#ifndef VG_COEFFICIENTS_H
#define VG_COEFFICIENTS_H

/* LOG1P, 32 bits: error 6.0e-08 = 2^-24.0 */
static const float LOG1P_32[] = {-0x1.fffffe0000000p-2f, 0x1.5556380000000p-2f,  -0x1.0003020000000p-2f,
                                 0x1.9907100000000p-3f,  -0x1.53bb740000000p-3f, 0x1.2fd1020000000p-3f,
                                 -0x1.21fd540000000p-3f, 0x1.67ed280000000p-4f};
/* LOG_RATIO, 64 bits: error 4.6e-18 = 2^-57.6 */
static const double LOG_RATIO_64[] = {0x1.5555555555558p-1, 0x1.99999999952e2p-2, 0x1.2492492df148dp-2,
                                      0x1.c71c62e5800a1p-3, 0x1.7462b4ab2ef6bp-3, 0x1.39fe606542ddep-3,
                                      0x1.2b584aae78a57p-3};
/* RADIUS, 32 bits: error 4.0e-07 = 2^-21.3 */
static const float RADIUS_32[] = {0x1.00001e0000000p+0f,  -0x1.5557600000000p-1f, 0x1.ffa3fe0000000p-2f,
                                  -0x1.9825a80000000p-2f, 0x1.5edf0c0000000p-2f,  -0x1.475ab20000000p-2f,
                                  0x1.a153120000000p-3f};
/* RADIUS, 64 bits: error 4.6e-18 = 2^-57.6 */
static const double RADIUS_64[] = {-0x1.5555555555558p+0, -0x1.99999999952e2p-1, -0x1.2492492df148dp-1,
                                   -0x1.c71c62e5800a1p-2, -0x1.7462b4ab2ef6bp-2, -0x1.39fe606542ddep-2,
                                   -0x1.2b584aae78a57p-2};
/* EXP2, 32 bits: error 2.2e-08 = 2^-25.4 */
static const float EXP2_32[] = {0x1.62e4300000000p-1f, 0x1.ebfbe00000000p-3f,  0x1.c6af6c0000000p-5f,
                                0x1.3b2a540000000p-7f, 0x1.5f08900000000p-10f, 0x1.44138a0000000p-13f};
/* EXP2, 64 bits: error 5.1e-17 = 2^-54.1 */
static const double EXP2_64[] = {0x1.62e42fefa39efp-1,  0x1.ebfbdff82c598p-3,  0x1.c6b08d704a0c2p-5,
                                 0x1.3b2ab6fba1ddap-7,  0x1.5d87fe78a5276p-10, 0x1.430913096fd9fp-13,
                                 0x1.ffcbfc670dcd4p-17, 0x1.62bfd47773353p-20, 0x1.b524fae627834p-24,
                                 0x1.e6063f7217bc6p-28, 0x1.e9d3fe3952179p-32};
/* SIN, 32 bits: error 3.5e-08 = 2^-24.8 */
static const float SIN_32[] = {0x1.921fb60000000p-1f, -0x1.4abbba0000000p-4f, 0x1.465ec40000000p-9f,
                               -0x1.2d9b400000000p-15f};
/* SIN, 64 bits: error 3.9e-17 = 2^-54.5 */
static const double SIN_64[] = {0x1.921fb54442d18p-1,   -0x1.4abbce625be41p-4, 0x1.466bc677587f8p-9,
                                -0x1.32d2cce2e5b19p-15, 0x1.50782fda12d96p-22, -0x1.e30071afc3e59p-30,
                                0x1.e3f38399551bfp-38};
/* COS, 32 bits: error 6.0e-08 = 2^-24.0 */
static const float COS_32[] = {0x1.0000000000000p+0f, -0x1.3bd3920000000p-2f, 0x1.03af580000000p-6f,
                               -0x1.4e5e060000000p-12f};
/* COS, 64 bits: error 2.1e-17 = 2^-55.4 */
static const double COS_64[] = {0x1.0000000000000p+0,   -0x1.3bd3cc9be45dep-2, 0x1.03c1f081b5aacp-6,
                                -0x1.55d3c7e3c90f8p-12, 0x1.e1f5068355e15p-19, -0x1.a6d1ec7906c20p-26,
                                0x1.f9cc41140bb60p-34,  -0x1.b264ba152378ap-42};
/* ERF, 32 bits: error 6.6e-08 = 2^-23.8 */
static const float ERF_32[] = {0x1.20dd740000000p+0f,  -0x1.81273e0000000p-2f, 0x1.ce2d100000000p-4f,
                               -0x1.b7faba0000000p-6f, 0x1.5412700000000p-8f,  -0x1.a450880000000p-11f,
                               0x1.4a56900000000p-14f};
/* ERF, 64 bits: error 1.6e-17 = 2^-55.8 */
static const double ERF_64[] = {0x1.20dd750429b6dp+0,   -0x1.812746b0379e6p-2,  0x1.ce2f21a042b30p-4,
                                -0x1.b82ce31284e00p-6,  0x1.565bcd0dbaa38p-8,   -0x1.c02db3dac435fp-11,
                                0x1.f9a321d5b8e1ep-14,  -0x1.f4d1e3183f7aep-17, 0x1.b9df224ca4b97p-20,
                                -0x1.5f1ecb6f0764cp-23, 0x1.f7b4bf3b13964p-27,  -0x1.389d4f2641625p-30,
                                0x1.05ffd737fb32ep-34};
/* ERFCX, 32 bits: error 3.5e-08 = 2^-24.8 */
static const float ERFCX_32[] = {0x1.18932c0000000p+0f,   -0x1.f3fe320000000p-1f,  0x1.8be20a0000000p-1f,
                                 -0x1.14eadc0000000p-1f,  0x1.52ca140000000p-2f,   -0x1.645c980000000p-3f,
                                 0x1.38e6b40000000p-4f,   -0x1.b07c3c0000000p-6f,  0x1.8f6eb20000000p-8f,
                                 -0x1.de89700000000p-13f, -0x1.d32d660000000p-12f, 0x1.0b9ed00000000p-13f};
/* ERFCX, 64 bits: error 1.1e-16 = 2^-53.0 */
static const double ERFCX_64[] = {
    0x1.18932bf08e154p+0,   -0x1.f3fe31ecb49bfp-1,  0x1.8be202d26c6cap-1,   -0x1.14eacb1ad0345p-1,
    0x1.52cac237117b8p-2,   -0x1.645fd8a4bbb73p-3,  0x1.38dbd2c87a1ebp-4,   -0x1.b00c052c6a7b6p-6,
    0x1.908f476220a2ep-8,   -0x1.269b5194ad6c6p-12, -0x1.dd285a6e64d9dp-12, 0x1.72cda01efcabep-13,
    -0x1.e7c5cfadf7a20p-19, -0x1.3c6dc340727cbp-16, 0x1.3ae61804c4e57p-18,  0x1.7e1d8047bd5cep-20,
    -0x1.c4ea4e25866c6p-21, -0x1.3f4b5e6a0cf0fp-24, 0x1.07142d5882f76p-23,  -0x1.5de0c4dc425fbp-32,
    -0x1.06428eed6564cp-26, 0x1.8d0e96fa9dcf7p-31,  0x1.4b6571f01a118p-30,  -0x1.5d61b25cc2ee3p-34};
/* TRUNCATED, 32 bits: error 4.5e-08 = 2^-24.4 */
static const float TRUNCATED_32[] = {0x1.323fee0000000p+0f,  0x1.40b4a40000000p-2f,   0x1.fe7f300000000p-7f,
                                     -0x1.9968260000000p-9f, -0x1.b7142c0000000p-13f, 0x1.70abe80000000p-14f,
                                     -0x1.a4111c0000000p-18f};
/* TRUNCATED, 64 bits: error 4.8e-17 = 2^-54.2 */
static const double TRUNCATED_64[] = {
    0x1.323fee65d1421p+0,   0x1.40b4374c68f19p-2,  0x1.fedafb851901fp-7,   -0x1.9d2619a22b9e6p-9,
    -0x1.6a797f6506c80p-13, 0x1.07e70a173fc2ap-14, 0x1.6df5501d8b621p-19,  -0x1.6ed65bf56d1d3p-20,
    -0x1.b38485ed78ca0p-25, 0x1.0bb071aa94d0fp-25, 0x1.7dbfea9966af4p-31,  -0x1.189a6ca545e64p-31,
    -0x1.e3cd640a425eep-34, 0x1.875626738b70ep-35, -0x1.7782e7af1f145p-38, 0x1.0c5641d1383edp-42};

#endif
